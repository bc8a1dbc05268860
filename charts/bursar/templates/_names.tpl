{{/* What objects are called. No release gets a name that another one has: only a release called as the chart keeps its
     name as it is, and what is too long keeps a digest of the whole. 13 characters are left for what objects add. */}}
{{- define "bursar.fullname" -}}
{{- $base := .Values.nameOverride | default .Chart.Name -}}
{{- $name := .Values.fullnameOverride | default (eq .Release.Name $base | ternary $base (printf "%s-%s" .Release.Name $base)) -}}
{{- if or (gt (len $name) 50) (contains "." $name) -}}
{{- printf "%s-%s" ($name | replace "." "-" | trunc 41 | trimSuffix "-") (sha256sum $name | trunc 8) -}}
{{- else -}}
{{- $name -}}
{{- end -}}
{{- end -}}

{{/* Labels of the release: what pods of one component are selected by. Takes {root, component}. */}}
{{- define "bursar.selector" -}}
app.kubernetes.io/name: {{ .root.Values.nameOverride | default .root.Chart.Name | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* All labels of an object: what selects it, over those of the values, over what the chart would say otherwise.
     Takes {root, component, labels}. */}}
{{- define "bursar.labels" -}}
{{- $chart := printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" -}}
{{- $usual := dict "app.kubernetes.io/part-of" "bursar" "app.kubernetes.io/version" .root.Chart.AppVersion -}}
{{- $helm := dict "app.kubernetes.io/managed-by" .root.Release.Service "helm.sh/chart" $chart -}}
{{- toYaml (merge (include "bursar.selector" . | fromYaml) $helm (.labels | default dict) .root.Values.commonLabels $usual) -}}
{{- end -}}

{{/* Name, namespace, labels and annotations of an object. Takes {root, component, suffix, labels, annotations}. */}}
{{- define "bursar.metadata" -}}
name: {{ include "bursar.fullname" .root }}{{ with .suffix }}-{{ . }}{{ end }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "bursar.labels" . | nindent 2 }}
{{- with merge (dict) (.annotations | default dict) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "bursar.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "bursar.fullname" .) "default") -}}
{{- end -}}

{{- define "bursar.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{- printf "%s@%s" .repository .digest -}}
{{- else -}}
{{- printf "%s:%s" .repository (.tag | default $.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Where callers reach the Service. */}}
{{- define "bursar.url" -}}
{{- if eq .Values.mode "sidecar" -}}
http://127.0.0.1:{{ .Values.ports.token }}
{{- else -}}
{{ empty .Values.tls.secretName | ternary "http" "https" }}://{{ include "bursar.fullname" . }}.{{ .Release.Namespace }}.svc:{{ .Values.service.port }}
{{- end -}}
{{- end -}}
