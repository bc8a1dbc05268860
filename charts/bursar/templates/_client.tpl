{{/* What the pods of the example and of the test have in common. */}}
{{- define "bursar.client.pod" -}}
serviceAccountName: {{ include "bursar.serviceAccountName" . }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* What their containers may have and do. */}}
{{- define "bursar.client.bounds" -}}
resources:
  requests:
    cpu: 10m
    memory: 16Mi
  limits:
    memory: 64Mi
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
{{- end -}}

{{/* Asks for a token as an SDK does, and leaves the answer in a variable, since it is no matter for a log. A proof goes
     by standard input, where no list of processes shows it. */}}
{{- define "bursar.client.request" -}}
if [ -n "${IDENTITY_ENDPOINT:-}" ]; then
  proof=${IDENTITY_HEADER:-}
  [ -z "${PROOF_FILE:-}" ] || proof=$(cat "$PROOF_FILE")
  answer=$(printf 'X-IDENTITY-HEADER: %s\n' "$proof" | curl -sS --fail-with-body --max-time 45 ${CA_FILE:+--cacert "$CA_FILE"} -H @- \
    -G "$IDENTITY_ENDPOINT" -d api-version=2019-08-01 --data-urlencode "resource=$RESOURCE") || { echo "$answer"; answer=; }
else
  answer=$(curl -sS --fail-with-body --max-time 45 -H 'Metadata: true' \
    -G "$AZURE_POD_IDENTITY_AUTHORITY_HOST/metadata/identity/oauth2/token" -d api-version=2018-02-01 \
    --data-urlencode "resource=$RESOURCE") || { echo "$answer"; answer=; }
fi
{{- end -}}
