{{/* The pod template of a daemonset and a deployment. Takes {root, tolerations, spread}. */}}
{{- define "bursar.pod" -}}
{{- $v := .root.Values -}}
{{- $of := dict "root" .root "component" "server" -}}
metadata:
  labels:
    {{- include "bursar.labels" (merge (dict "labels" $v.podLabels) $of) | nindent 4 }}
  annotations:
    {{- $own := dict "kubectl.kubernetes.io/default-container" "bursar" }}
    {{- if not $v.existingConfigMap }}
    {{- $_ := set $own "checksum/config" (include "bursar.config" .root | sha256sum) }}
    {{- end }}
    {{- toYaml (merge $own $v.podAnnotations $v.commonAnnotations) | nindent 4 }}
spec:
  serviceAccountName: {{ include "bursar.serviceAccountName" .root }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ $v.terminationGracePeriodSeconds }}
  securityContext:
    {{- toYaml $v.podSecurityContext | nindent 4 }}
  {{- with $v.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $v.extraInitContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - {{ include "bursar.container" .root | nindent 6 | trim }}
    {{- with $v.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    {{- include "bursar.volumes" .root | nindent 4 }}
    {{- with $v.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $v.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $v.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .spread }}
  topologySpreadConstraints:
    {{- range . }}
    - {{ toYaml . | nindent 6 | trim }}
      {{- if not .labelSelector }}
      labelSelector:
        matchLabels:
          {{- include "bursar.selector" $of | nindent 10 }}
      {{- end }}
    {{- end }}
  {{- end }}
  {{- with $v.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $v.schedulerName }}
  schedulerName: {{ . }}
  {{- end }}
  {{- with $v.runtimeClassName }}
  runtimeClassName: {{ . }}
  {{- end }}
  {{- with $v.hostAliases }}
  hostAliases:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  dnsPolicy: {{ $v.dnsPolicy }}
  {{- with $v.dnsConfig }}
  dnsConfig:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
