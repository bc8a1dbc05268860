{{/* What is unsafe or will hurt in the given values, a line each. */}}
{{- define "bursar.warnings" -}}
{{- $v := .Values -}}
{{- $config := $v.config -}}
{{- $server := $config.server | default dict -}}
{{- $cluster := $config.kubernetes | default dict -}}
{{- $isShared := ne $v.mode "sidecar" -}}
{{- $w := list -}}
{{- if not $v.image.digest -}}
{{- $w = append $w "image.digest is not set: a tag can come to mean another image." -}}
{{- end -}}
{{- if $v.existingConfigMap -}}
{{- $w = append $w (printf "existingConfigMap %s is not looked into: run 'bursar check' on it, let it listen where ports say, and look into the log when it changes: some keys wait for a restart." $v.existingConfigMap) -}}
{{- end -}}
{{- if $server.allow_unauthenticated -}}
{{- $w = append $w "config.server.allow_unauthenticated: whoever reaches the Service gets tokens." -}}
{{- end -}}
{{- if and $isShared $config (not $config.callers) (not $server.allow_unauthenticated) -}}
{{- $w = append $w "config.callers is empty: whoever knows the header secret may use every identity. Give each workload a proof and rules of its own." -}}
{{- end -}}
{{- if and $isShared $config (not $v.tls.secretName) -}}
{{- $w = append $w "tls.secretName is not set: proofs and tokens cross the network in the clear, unless a mesh encrypts it." -}}
{{- end -}}
{{- if and $isShared (not $v.networkPolicy.enabled) -}}
{{- $w = append $w "networkPolicy.enabled is false: everything that has a route reaches the listeners." -}}
{{- end -}}
{{- if and $isShared $v.networkPolicy.enabled (not $v.networkPolicy.extraEgress) (contains "\"managed-identity\"" (toJson $config.identities)) -}}
{{- $w = append $w "networkPolicy.extraEgress is empty: nothing leads to the host's managed identity, at 169.254.169.254 and port 80 if it is that of the machine." -}}
{{- end -}}
{{- if and $isShared (ne $v.service.type "ClusterIP") -}}
{{- $w = append $w (printf "service.type %s: the token endpoint is reached from outside the cluster." $v.service.type) -}}
{{- end -}}
{{- if and (eq $v.mode "deployment") (not $v.autoscaling.enabled) (lt (int $v.deployment.replicas) 2) -}}
{{- $w = append $w "deployment.replicas is less than 2: there are no tokens while the only pod moves." -}}
{{- end -}}
{{- if and (eq $v.mode "deployment") (not $v.podDisruptionBudget.enabled) -}}
{{- $w = append $w "podDisruptionBudget.enabled is false: all pods may be evicted at once." -}}
{{- end -}}
{{- if and (eq $v.mode "daemonset") (not (regexMatch "^0%?$" (toString $v.daemonset.maxUnavailable))) -}}
{{- $w = append $w "daemonset.maxUnavailable is not 0: nodes have no tokens while their pod is replaced." -}}
{{- end -}}
{{- if $cluster.legacy_tokens -}}
{{- $w = append $w "config.kubernetes.legacy_tokens: tokens that never end prove callers." -}}
{{- end -}}
{{- range $name := keys ($config.callers | default dict) | sortAlpha -}}
{{- $caller := get $config.callers $name -}}
{{- if eq ($caller.mode | default "enforce") "audit" -}}
{{- $w = append $w (printf "config.callers.%s.mode is audit: it is admitted beyond its rules." $name) -}}
{{- end -}}
{{- end -}}
{{- range $name := keys ($config.identities | default dict) | sortAlpha -}}
{{- if has "*" (get $config.identities $name).resources -}}
{{- $w = append $w (printf "config.identities.%s.resources is \"*\": its tokens may be for anything." $name) -}}
{{- end -}}
{{- end -}}
{{- range $name := keys ($config.tenants | default dict) | sortAlpha -}}
{{- $tenant := get $config.tenants $name -}}
{{- if eq (toString $tenant.instance_discovery) "false" -}}
{{- $w = append $w (printf "config.tenants.%s.instance_discovery is false: credentials go to its authority unconfirmed." $name) -}}
{{- end -}}
{{- end -}}
{{- range $v.credentials.env -}}
{{- $w = append $w (printf "credentials.env %s: a variable stays until the restart, and is seen by whoever may exec into the pod. A file is taken anew when it changes." .name) -}}
{{- end -}}
{{- range $v.extraEnv -}}
{{- if and .value (regexMatch "(?i)secret|password|token|key" .name) -}}
{{- $w = append $w (printf "extraEnv %s looks like a secret that is written down: use credentials." .name) -}}
{{- end -}}
{{- end -}}
{{- if and $isShared $config (not ($config.log | default dict).audit) -}}
{{- $w = append $w "config.log.audit is not set: nobody will know who got which token." -}}
{{- end -}}
{{- if and $isShared $v.tests.enabled $config.callers $cluster.audience (not $v.tests.headerSecretName) -}}
{{- $account := $v.tests.serviceAccountName | default (include "bursar.serviceAccountName" .) -}}
{{- $isKnown := false -}}
{{- range $config.callers -}}
{{- $pattern := .proof.service_account | default "*" | replace "*" ".*" -}}
{{- if and (eq .proof.kind "service-account") (regexMatch (printf "^%s$" $pattern) $account) -}}{{- $isKnown = true -}}{{- end -}}
{{- end -}}
{{- if not $isKnown -}}
{{- $w = append $w (printf "config.callers: none is the ServiceAccount %s, which 'helm test' shows, so that it will be refused. Add it, or name another as tests.serviceAccountName." $account) -}}
{{- end -}}
{{- end -}}
{{- if and $isShared $v.tests.enabled $config.callers (not $cluster.audience) (not $v.tests.headerSecretName) -}}
{{- $w = append $w "tests: 'helm test' has nothing to show that proves a caller. Set tests.headerSecretName, or tests.enabled to false." -}}
{{- end -}}
{{- $limit := ($isShared | ternary $v.resources $v.sidecar.resources).limits.memory -}}
{{- $cache := include "bursar.mebibytes" (($config.cache | default dict).bytes | default ($isShared | ternary "256MiB" "32MiB")) -}}
{{- if and $cache (include "bursar.mebibytes" $limit) (gt (add $cache 64) (include "bursar.mebibytes" $limit | int64)) -}}
{{- $w = append $w (printf "resources.limits.memory is %s: a cache of %s MiB (config.cache.bytes) does not fit into it with 64 MiB beside, and the pod would be killed." $limit $cache) -}}
{{- end -}}
{{- $drain := $server.drain | default "10s" -}}
{{- if and $isShared (regexMatch "^[0-9]+s$" $drain) (lt (int $v.terminationGracePeriodSeconds) (add 30 (int (trimSuffix "s" $drain)))) -}}
{{- $w = append $w (printf "terminationGracePeriodSeconds is %v: pods are killed before drain (%s) and an exchange of 30 s are over." $v.terminationGracePeriodSeconds $drain) -}}
{{- end -}}
{{- join "\n" $w -}}
{{- end -}}

{{/* A size such as 1GiB or 512Mi in MiB, where it is written in these units. */}}
{{- define "bursar.mebibytes" -}}
{{- $size := toString . -}}
{{- if regexMatch "^[0-9]+ ?MiB?$" $size -}}
{{- regexFind "^[0-9]+" $size -}}
{{- else if regexMatch "^[0-9]+ ?GiB?$" $size -}}
{{- mul 1024 (regexFind "^[0-9]+" $size) -}}
{{- end -}}
{{- end -}}
