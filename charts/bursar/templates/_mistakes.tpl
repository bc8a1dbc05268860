{{/* Values that no schema can refuse: all of them at once, each with its remedy. */}}
{{- define "bursar.mistakes" -}}
{{- $v := .Values -}}
{{- $isShared := ne $v.mode "sidecar" -}}
{{- $server := $v.config.server | default dict -}}
{{- $m := list -}}
{{- if and (not $v.config) (not $v.existingConfigMap) -}}
{{- $m = append $m "config: there is no configuration. Write one, or name an existingConfigMap." -}}
{{- end -}}
{{- if and $v.config $v.existingConfigMap -}}
{{- $m = append $m "existingConfigMap: config is written too. Leave one of them out." -}}
{{- end -}}
{{- if and $v.existingConfigMap (or $v.headerSecret.secretName $v.tls.secretName) -}}
{{- $m = append $m "existingConfigMap: headerSecret and tls cannot be written into it. Mount their Secrets by credentials.files, and name the files in it." -}}
{{- end -}}
{{- if and $v.config (or (not $v.config.tenants) (not $v.config.identities)) -}}
{{- if or (not $v.config.identities) (include "bursar.needsTenants" .) -}}
{{- $m = append $m "config: it has no tenants or no identities. Add [tenants.NAME] and [identities.NAME]." -}}
{{- end -}}
{{- end -}}
{{- if and $v.config.callers (or $v.headerSecret.secretName $server.header_secret) -}}
{{- $m = append $m "headerSecret: callers are told apart, and whoever shows this is none of them. Move it into the proof of a caller, or remove config.callers." -}}
{{- end -}}
{{- if and $isShared $v.config (not (or $v.config.callers $v.headerSecret.secretName $server.header_secret $server.allow_unauthenticated)) -}}
{{- $m = append $m (printf "config.callers: a %s is reached by other pods, and nobody proves who it is. Add callers (service accounts are the natural proof), or a headerSecret." $v.mode) -}}
{{- end -}}
{{- if and (not $isShared) $v.tls.secretName -}}
{{- $m = append $m "tls.secretName: a sidecar serves on loopback, without TLS. Leave it out." -}}
{{- end -}}
{{- if and $v.tls.clientCASecretName (not $v.tls.secretName) -}}
{{- $m = append $m "tls.clientCASecretName: client certificates are asked for over TLS alone. Set tls.secretName too." -}}
{{- end -}}
{{- if regexMatch "^[0-9]" (include "bursar.fullname" .) -}}
{{- $m = append $m "fullnameOverride: names of Services begin with a letter, and the release's does not. Choose one." -}}
{{- end -}}
{{- $suffix := printf ":%v" $v.ports.token -}}
{{- $isThere := not $server.listen -}}
{{- range $server.listen | default list -}}
{{- if hasSuffix $suffix . -}}{{- $isThere = true -}}{{- end -}}
{{- end -}}
{{- if not $isThere -}}
{{- $m = append $m (printf "config.server.listen: nothing is at the port %v, which workloads are led to. Set ports.token instead." $v.ports.token) -}}
{{- end -}}
{{- if and $server.admin_listen (not (hasSuffix (printf ":%v" $v.ports.admin) $server.admin_listen)) -}}
{{- $m = append $m (printf "config.server.admin_listen: probes ask at the port %v. Set ports.admin instead." $v.ports.admin) -}}
{{- end -}}
{{- if and $server.admin_listen (ne $v.metrics.https (hasPrefix "https://" $server.admin_listen)) -}}
{{- $m = append $m (printf "config.server.admin_listen: probes and monitors ask over %s there. Set metrics.https instead." ($v.metrics.https | ternary "https" "http")) -}}
{{- end -}}
{{- if and $v.metrics.https $v.config (not (or $v.tls.secretName $server.tls)) -}}
{{- $m = append $m "metrics.https: there is no certificate that Prometheus could verify. Set tls.secretName too." -}}
{{- end -}}
{{- if eq $v.ports.token $v.ports.admin -}}
{{- $m = append $m "ports.admin: tokens are served there. Choose another port." -}}
{{- end -}}
{{- if and (or $v.serviceMonitor.enabled $v.podMonitor.enabled) (not $v.metrics.enabled) -}}
{{- $m = append $m "metrics.enabled: a monitor finds no metrics without it. Set it to true." -}}
{{- end -}}
{{- if and $v.serviceMonitor.enabled (not $isShared) -}}
{{- $m = append $m "serviceMonitor.enabled: a sidecar has no Service. Use podMonitor." -}}
{{- end -}}
{{- if and $v.serviceMonitor.enabled $v.podMonitor.enabled -}}
{{- $m = append $m "podMonitor.enabled: serviceMonitor counts the same pods. Leave one of them out." -}}
{{- end -}}
{{- with $v.podDisruptionBudget -}}
{{- if and (ne (toString .minAvailable) "") (ne (toString .maxUnavailable) "") -}}
{{- $m = append $m "podDisruptionBudget.minAvailable: maxUnavailable is set too. Set one of them to \"\"." -}}
{{- end -}}
{{- end -}}
{{- with $v.daemonset -}}
{{- $isZero := "^0%?$" -}}
{{- if eq (regexMatch $isZero (toString .maxUnavailable)) (regexMatch $isZero (toString .maxSurge)) -}}
{{- $m = append $m "daemonset.maxSurge: one of it and daemonset.maxUnavailable is 0, and the other is not. Set the one that is not meant to 0." -}}
{{- end -}}
{{- end -}}
{{- if and $v.autoscaling.enabled (gt (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) -}}
{{- $m = append $m "autoscaling.minReplicas: it is more than maxReplicas. Correct one of them." -}}
{{- end -}}
{{- $names := list -}}
{{- range $v.credentials.files -}}
{{- if has .name $names -}}
{{- $m = append $m (printf "credentials.files: two are called %s. Rename one." .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- if $m -}}
{{- fail (printf "\n%s" (join "\n" $m)) -}}
{{- end -}}
{{- end -}}

{{/* "true" where an identity is not the host's own. */}}
{{- define "bursar.needsTenants" -}}
{{- range $name, $identity := .Values.config.identities -}}
{{- if not $identity.source -}}true{{- end -}}
{{- end -}}
{{- end -}}
