{{/* The volumes that the container needs. Their names begin with bursar-, since a sidecar's are among those of a
     workload; there the group of files is not Bursar's either, and only Bursar mounts them. */}}
{{- define "bursar.volumes" -}}
{{- $v := .Values -}}
{{- $mode := eq $v.mode "sidecar" | ternary "0444" "0440" -}}
- name: bursar-config
  configMap:
    name: {{ include "bursar.configMapName" . }}
{{- if $v.headerSecret.secretName }}
- name: bursar-header
  secret:
    secretName: {{ $v.headerSecret.secretName }}
    defaultMode: {{ $mode }}
{{- end }}
{{- if $v.tls.secretName }}
- name: bursar-tls
  secret:
    secretName: {{ $v.tls.secretName }}
    defaultMode: {{ $mode }}
{{- end }}
{{- if $v.tls.clientCASecretName }}
- name: bursar-client-ca
  secret:
    secretName: {{ $v.tls.clientCASecretName }}
    defaultMode: {{ $mode }}
    items:
      - key: {{ $v.tls.clientCAKey }}
        path: {{ $v.tls.clientCAKey }}
{{- end }}
{{- range $v.credentials.files }}
- name: bursar-credential-{{ .name }}
  {{- if .secret }}
  secret:
    secretName: {{ .secret.name }}
    defaultMode: {{ $mode }}
    {{- with .secret.items }}
    items:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with .secret.optional }}
    optional: {{ . }}
    {{- end }}
  {{- else if .csi }}
  csi:
    {{- toYaml (merge (dict "readOnly" true) .csi) | nindent 4 }}
  {{- else }}
  projected:
    defaultMode: {{ $mode }}
    sources:
      {{- toYaml .projected.sources | nindent 6 }}
  {{- end }}
{{- end }}
{{- if $v.workloadIdentity.enabled }}
- name: bursar-federation
  projected:
    defaultMode: {{ $mode }}
    sources:
      - serviceAccountToken:
          path: azure-identity-token
          audience: {{ $v.workloadIdentity.audience }}
          expirationSeconds: {{ $v.workloadIdentity.expirationSeconds }}
{{- end }}
{{- if include "bursar.hasApiToken" . }}
{{- /* What automounting would give to every container of the pod. */}}
- name: bursar-api
  projected:
    defaultMode: {{ $mode }}
    sources:
      - serviceAccountToken:
          path: token
          expirationSeconds: {{ $v.apiToken.expirationSeconds }}
      - configMap:
          name: kube-root-ca.crt
          items:
            - key: ca.crt
              path: ca.crt
{{- end }}
{{- end -}}

{{/* Where the container has them. Directories are mounted whole, since a single file would never change. */}}
{{- define "bursar.volumeMounts" -}}
{{- $v := .Values -}}
- name: bursar-config
  mountPath: /etc/bursar
  readOnly: true
{{- if $v.headerSecret.secretName }}
- name: bursar-header
  mountPath: /var/run/secrets/bursar-header
  readOnly: true
{{- end }}
{{- if $v.tls.secretName }}
- name: bursar-tls
  mountPath: /var/run/secrets/bursar-tls
  readOnly: true
{{- end }}
{{- if $v.tls.clientCASecretName }}
- name: bursar-client-ca
  mountPath: /var/run/secrets/bursar-client-ca
  readOnly: true
{{- end }}
{{- range $v.credentials.files }}
- name: bursar-credential-{{ .name }}
  mountPath: /var/run/secrets/bursar/{{ .name }}
  readOnly: true
{{- end }}
{{- if $v.workloadIdentity.enabled }}
- name: bursar-federation
  mountPath: /var/run/secrets/azure/tokens
  readOnly: true
{{- end }}
{{- if include "bursar.hasApiToken" . }}
- name: bursar-api
  mountPath: /var/run/secrets/kubernetes.io/serviceaccount
  readOnly: true
{{- end }}
{{- with $v.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}
