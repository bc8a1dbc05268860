{{/* What the chart knows of the configuration, as YAML. */}}
{{- define "bursar.config.known" -}}
{{- $v := .Values -}}
{{- $name := include "bursar.fullname" . -}}
server:
  {{- if eq $v.mode "sidecar" }}
  listen: ["127.0.0.1:{{ $v.ports.token }}"]
  dialects: [{{ empty $v.headerSecret.secretName | ternary "native, imds" "app-service" }}]
  # It ends after the containers that it serves.
  drain: 0s
  {{- else }}
  listen: ["{{ empty $v.tls.secretName | ternary "" "https://" }}{{ $v.listenAddress }}:{{ $v.ports.token }}"]
  dialects: [{{ include "bursar.showsHeader" . | empty | ternary "native, imds" "app-service" }}]
  hosts:
    - {{ $name }}
    - {{ $name }}.{{ .Release.Namespace }}
    - {{ $name }}.{{ .Release.Namespace }}.svc
    - {{ $name }}.{{ .Release.Namespace }}.svc.{{ $v.clusterDomain }}
  drain: 10s
  {{- end }}
  admin_listen: "{{ $v.metrics.https | ternary "https://" "" }}{{ include "bursar.adminHost" . }}:{{ $v.ports.admin }}"
  {{- if $v.headerSecret.secretName }}
  header_secret:
    {{- range $v.headerSecret.keys }}
    - file: /var/run/secrets/bursar-header/{{ . }}
    {{- end }}
  {{- end }}
  {{- if $v.tls.secretName }}
  tls:
    cert: /var/run/secrets/bursar-tls/tls.crt
    key: /var/run/secrets/bursar-tls/tls.key
    {{- if $v.tls.clientCASecretName }}
    client_ca: /var/run/secrets/bursar-client-ca/{{ $v.tls.clientCAKey }}
    {{- end }}
  {{- end }}
log:
  format: json
{{- if eq $v.mode "sidecar" }}
cache:
  bytes: 32MiB
{{- end }}
{{- end -}}

{{/* "true" where callers show something in a header, as app-service has it; a certificate they show in the handshake. */}}
{{- define "bursar.showsHeader" -}}
{{- if or .Values.headerSecret.secretName (.Values.config.server | default dict).header_secret -}}true{{- end -}}
{{- range .Values.config.callers -}}
{{- if has .proof.kind (list "header-secret" "service-account") -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{/* Where health and metrics are, as the pod knows it. */}}
{{- define "bursar.adminHost" -}}
{{- .Values.metrics.enabled | ternary .Values.listenAddress (contains ":" .Values.listenAddress | ternary "[::1]" "127.0.0.1") -}}
{{- end -}}

{{/* The configuration, as YAML: what values say over what the chart knows. Host names of theirs come to those of the
     Service, which callers go on using. */}}
{{- define "bursar.config" -}}
{{- $known := include "bursar.config.known" . | fromYaml -}}
{{- $hosts := concat ($known.server.hosts | default list) ((.Values.config.server | default dict).hosts | default list) | uniq -}}
{{- $config := mergeOverwrite $known (deepCopy .Values.config) -}}
{{- if $hosts -}}
{{- $_ := set $config.server "hosts" $hosts -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{- define "bursar.configMapName" -}}
{{- .Values.existingConfigMap | default (include "bursar.fullname" .) -}}
{{- end -}}

{{- define "bursar.configKey" -}}
{{- empty .Values.existingConfigMap | ternary "bursar.yaml" .Values.existingConfigMapKey -}}
{{- end -}}

{{/* "true" where something of the values is meant: by its word, or by the configuration where that is "auto".
     Takes {word, auto}. */}}
{{- define "bursar.isMeant" -}}
{{- if or (eq .word "always") (and (eq .word "auto") .auto) -}}true{{- end -}}
{{- end -}}

{{/* "true" where the pod has a token for the API server. */}}
{{- define "bursar.hasApiToken" -}}
{{- $cluster := .Values.config.kubernetes | default dict -}}
{{- $url := empty $cluster.token_review | ternary $cluster.jwks_url $cluster.api_server | default "https://kubernetes.default.svc" -}}
{{- $isOwn := regexMatch "^https://kubernetes\\.default(\\.svc(\\.cluster\\.local)?)?(:[0-9]+)?(/|$)" $url -}}
{{- $fetches := and $cluster (not $cluster.token_file) (or $cluster.token_review (not $cluster.jwks_file)) $isOwn -}}
{{- include "bursar.isMeant" (dict "word" .Values.apiToken.mount "auto" $fetches) -}}
{{- end -}}

{{/* "true" where it reviews tokens there. */}}
{{- define "bursar.reviews" -}}
{{- $cluster := .Values.config.kubernetes | default dict -}}
{{- include "bursar.isMeant" (dict "word" .Values.rbac.tokenReview "auto" $cluster.token_review) -}}
{{- end -}}

{{/* What the first identity may be used for: the one that is the default, else the first by name. */}}
{{- define "bursar.firstResource" -}}
{{- $identities := .Values.config.identities | default dict -}}
{{- $first := "" -}}
{{- range keys $identities | sortAlpha -}}
{{- if or (not $first) (get $identities . ).default -}}{{- $first = . -}}{{- end -}}
{{- end -}}
{{- $resources := (get $identities $first | default dict).resources | default list -}}
{{- $named := without $resources "*" -}}
{{- first (append $named "https://vault.azure.net") -}}
{{- end -}}
