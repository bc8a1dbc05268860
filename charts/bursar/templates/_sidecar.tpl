{{/* What a workload's pod template takes to have Bursar beside it. A chart that depends on this one with mode: sidecar
     includes them of its subchart: {{ include "bursar.sidecar" .Subcharts.bursar }}, the first of initContainers.
     It needs restartPolicy: Always there, and is ready before whatever comes after it starts. */}}
{{- define "bursar.sidecar" -}}
- {{ include "bursar.container" . | nindent 2 | trim }}
{{- end -}}

{{/* Into volumes. */}}
{{- define "bursar.sidecar.volumes" -}}
{{ include "bursar.volumes" . }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Into env of each container that wants tokens. */}}
{{- define "bursar.sidecar.env" -}}
{{- if .Values.headerSecret.secretName -}}
- name: IDENTITY_ENDPOINT
  value: {{ include "bursar.url" . }}/msi/token
- name: IDENTITY_HEADER
  valueFrom:
    secretKeyRef:
      name: {{ .Values.headerSecret.secretName }}
      key: {{ first .Values.headerSecret.keys }}
{{- else -}}
- name: AZURE_POD_IDENTITY_AUTHORITY_HOST
  value: {{ include "bursar.url" . }}
{{- end }}
- name: NO_PROXY
  value: 127.0.0.1,localhost
{{- end -}}

{{/* Into labels: which release's it is, for the PodMonitor. */}}
{{- define "bursar.sidecar.labels" -}}
bursar-sidecar: {{ include "bursar.fullname" . }}
{{- end -}}

{{/* Into annotations, so that another configuration rolls the workload out. */}}
{{- define "bursar.sidecar.annotations" -}}
{{- if .Values.existingConfigMap -}}
{}
{{- else -}}
checksum/bursar-config: {{ include "bursar.config" . | sha256sum }}
{{- end -}}
{{- end -}}
