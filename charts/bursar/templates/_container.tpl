{{/* The container. Its probes run the program itself: that works on loopback, behind network policies and in meshes, and
     needs no port that others reach. */}}
{{- define "bursar.container" -}}
{{- $v := .Values -}}
{{- $isSidecar := eq $v.mode "sidecar" -}}
{{- $admin := printf "%s://%s:%v" ($v.metrics.https | ternary "https" "http") (contains ":" $v.listenAddress | ternary "[::1]" "127.0.0.1") $v.ports.admin -}}
name: bursar
image: {{ include "bursar.image" . }}
imagePullPolicy: {{ $v.image.pullPolicy }}
{{- if $isSidecar }}
restartPolicy: Always
{{- end }}
command: [{{ $v.image.binary }}]
args: [serve, --config, /etc/bursar/{{ include "bursar.configKey" . }}]
{{- if or $v.credentials.env $v.extraEnv }}
env:
  {{- range $v.credentials.env }}
  - name: {{ .name }}
    valueFrom:
      secretKeyRef:
        {{- toYaml .secretKeyRef | nindent 8 }}
  {{- end }}
  {{- with $v.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- with $v.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if or (not $isSidecar) $v.metrics.enabled }}
ports:
  {{- if not $isSidecar }}
  - name: token
    containerPort: {{ $v.ports.token }}
    protocol: TCP
  {{- end }}
  {{- if $v.metrics.enabled }}
  - name: {{ $isSidecar | ternary "bursar-admin" "admin" }}
    containerPort: {{ $v.ports.admin }}
    protocol: TCP
  {{- end }}
{{- end }}
startupProbe:
  exec:
    command: [{{ $v.image.binary }}, probe, {{ $admin | quote }}]
  {{- toYaml $v.probes.startup | nindent 2 }}
readinessProbe:
  exec:
    command: [{{ $v.image.binary }}, probe, {{ $admin | quote }}]
  {{- toYaml $v.probes.readiness | nindent 2 }}
livenessProbe:
  exec:
    command: [{{ $v.image.binary }}, probe, {{ printf "%s/healthz" $admin | quote }}]
  {{- toYaml $v.probes.liveness | nindent 2 }}
resources:
  {{- toYaml ($isSidecar | ternary $v.sidecar.resources $v.resources) | nindent 2 }}
securityContext:
  {{- toYaml $v.securityContext | nindent 2 }}
terminationMessagePolicy: FallbackToLogsOnError
volumeMounts:
  {{- include "bursar.volumeMounts" . | nindent 2 }}
{{- end -}}
