"""What the Prometheus operator takes, as far as the chart writes it: its definitions come with no package."""

import jsonschema

GROUP = "monitoring.coreos.com/"
TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
DURATION = {"type": "string", "pattern": "^[0-9]+(ms|s|m|h)$"}


def closed(required, optional=None):
    """An object with these keys and no others."""
    properties = required | (optional or {})
    return {"type": "object", "additionalProperties": False, "required": [*required], "properties": properties}


def many(items):
    """A list that is not empty."""
    return {"type": "array", "minItems": 1, "items": items}


SELECTOR = closed({"matchLabels": TEXTS})
NAMESPACES = {"anyOf": [closed({"matchNames": many({"type": "string"})}), closed({"any": {"type": "boolean"}})]}
RELABELING = closed({"targetLabel": {"type": "string"}, "replacement": {"type": "string"}})
ENDPOINT = closed(
    {"port": {"type": "string"}, "path": {"type": "string"}, "interval": DURATION, "scrapeTimeout": DURATION},
    {"relabelings": many(RELABELING), "scheme": {"enum": ["http", "https"]}, "tlsConfig": {"type": "object"}},
)
RULE = closed(
    {"alert": {"type": "string"}, "expr": {"type": "string"}, "labels": TEXTS, "annotations": TEXTS}, {"for": DURATION}
)
SPECS = {
    "ServiceMonitor": closed({"selector": SELECTOR, "namespaceSelector": NAMESPACES, "endpoints": many(ENDPOINT)}),
    "PodMonitor": closed(
        {"selector": SELECTOR, "namespaceSelector": NAMESPACES, "podMetricsEndpoints": many(ENDPOINT)}
    ),
    "PrometheusRule": closed({"groups": many(closed({"name": {"type": "string"}, "rules": many(RULE)}))}),
}


def validate(one):
    """Fails where an object is none of the operator's version 1."""
    assert one["apiVersion"] == GROUP + "v1"
    jsonschema.validate(one["spec"], SPECS[one["kind"]])
