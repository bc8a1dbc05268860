{{/* Alerts and dashboard find a release by its job, whichever monitor there is. */}}
{{- define "bursar.relabelings" -}}
- targetLabel: job
  replacement: {{ include "bursar.fullname" . }}
{{- end -}}

{{/* How Prometheus speaks with the admin listener. */}}
{{- define "bursar.scheme" -}}
scheme: {{ .Values.metrics.https | ternary "https" "http" }}
{{- if .Values.metrics.https }}
{{- with .Values.metrics.tlsConfig }}
tlsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The alerts, with every selector narrowed to this release. */}}
{{- define "bursar.alerts" -}}
{{- $groups := (.Files.Get "files/alerts.yaml" | fromYaml).groups -}}
{{- $which := printf "${1}{job=%q," (include "bursar.fullname" .) -}}
{{- if not .Values.podMonitor.namespaceSelector -}}
{{- $which = printf "${1}{namespace=%q,job=%q," .Release.Namespace (include "bursar.fullname" .) -}}
{{- end -}}
{{- range $groups -}}
{{- range .rules -}}
{{- $_ := set . "expr" (regexReplaceAll "(bursar_[a-z_]+)[{]" .expr $which) -}}
{{- end -}}
{{- end -}}
{{- toYaml $groups -}}
{{- end -}}

{{/* The dashboard, with an id of its own. */}}
{{- define "bursar.dashboard" -}}
{{- $dashboard := .Files.Get "files/dashboard.json" | fromJson -}}
{{- $name := printf "%s/%s" .Release.Namespace (include "bursar.fullname" .) -}}
{{- $_ := set $dashboard "uid" (printf "bursar-%s" (sha256sum $name | trunc 16)) -}}
{{- $_ := set $dashboard "title" (printf "Bursar (%s)" $name) -}}
{{- toPrettyJson $dashboard -}}
{{- end -}}
