{{- define "troth.name" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{- define "troth.selector" -}}
app.kubernetes.io/name: troth
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "troth.labels" -}}
{{ include "troth.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: troth
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* Those of the pod: what selects it cannot be said otherwise, and podLabels win over commonLabels. */ -}}
{{- define "troth.podLabels" -}}
{{- $selector := include "troth.selector" . | fromYaml -}}
{{- toYaml (merge $selector (deepCopy .Values.podLabels) (include "troth.labels" . | fromYaml)) -}}
{{- end -}}

{{- define "troth.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "troth.name" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name is needed when serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "troth.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- define "troth.subject" -}}
- kind: ServiceAccount
  name: {{ include "troth.serviceAccount" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}

{{- /* What the chart knows, under what the person who installs it says. */ -}}
{{- define "troth.settings" -}}
{{- $known := dict "systemNamespace" .Release.Namespace "workspace" "/workspace" -}}
{{- if .Values.containerPipelines.enabled -}}
{{- $_ := set $known "adapterImage" (include "troth.image" .) -}}
{{- end -}}
{{- if .Values.conversion.enabled -}}
{{- $_ := set $known "conversionService" (printf "%s-conversion" (include "troth.name" .)) -}}
{{- end -}}
{{- toYaml (merge (deepCopy .Values.settings) $known) -}}
{{- end -}}
