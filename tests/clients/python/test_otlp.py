"""What is traced, as OpenTelemetry's own decoder sees it."""

import pytest
import requests
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

import authority
import service
from conftest import is_ready
from processes import free_ports, running
from receiver import plain, receiving
from service import VAULT

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
TIMEOUT = 10


@pytest.fixture
def traced(tmp_path, sts, material):
    """A service that traces, where it is asked, and its receiver."""
    ports = free_ports(2)
    file = service.write_configuration(tmp_path, ports, sts, material)
    with receiving() as receiver:
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
            "OTEL_BSP_SCHEDULE_DELAY": "50",
            "OTEL_SERVICE_NAME": "desk",
        }
        with running("traced", ["serve", "--config", str(file)], tmp_path, variables=variables) as command:
            command.wait_until(lambda: is_ready(f"http://127.0.0.1:{ports[1]}/readyz"), "readiness")
            yield command, f"http://127.0.0.1:{ports[0]}", receiver


def ask(base, **parameters):
    headers = {"Metadata": "true", "traceparent": f"00-{TRACE}-{CALLER}-01"}
    return requests.get(f"{base}/token", params=parameters, headers=headers, timeout=TIMEOUT)


def test_one_trace_from_the_callers_span_to_the_exchange(traced):
    command, base, receiver = traced
    token = ask(base, resource=VAULT).json()["access_token"]
    command.wait_until(lambda: "GET /token" in receiver.spans(), "the span of the request")
    spans = receiver.spans()
    request, flight, exchange = (spans[name] for name in ("GET /token", "flight", "exchange"))
    assert {span.trace_id.hex() for span in spans.values()} == {TRACE}
    assert request.parent_span_id.hex() == CALLER
    assert (flight.parent_span_id, exchange.parent_span_id) == (request.span_id, flight.span_id)
    kinds = (Span.SPAN_KIND_SERVER, Span.SPAN_KIND_INTERNAL, Span.SPAN_KIND_CLIENT)
    assert (request.kind, flight.kind, exchange.kind) == kinds
    told = plain(request.attributes)
    assert (told["http.response.status_code"], told["url.path"], told["bursar.identity"]) == (200, "/token", "ledger")
    assert receiver.resource()["service.name"] == "desk"
    sent = b"".join(receiver.bodies)
    assert not any(secret.encode() in sent for secret in (token, authority.SECRET, service.HEADER))


def test_a_failure_is_an_error_of_the_exchange_and_not_of_the_service(traced):
    command, base, receiver = traced
    assert ask(base, resource=VAULT, identity="rejected").status_code == 403
    command.wait_until(lambda: "GET /token" in receiver.spans(), "the span of the request")
    spans = receiver.spans()
    codes = [spans[name].status.code for name in ("GET /token", "flight", "exchange")]
    assert codes == [Status.STATUS_CODE_UNSET, Status.STATUS_CODE_ERROR, Status.STATUS_CODE_ERROR]
    assert plain(spans["flight"].attributes)["bursar.aadsts"] == 7000215
