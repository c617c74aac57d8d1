// Flux's controllers, which bring what is in Git to the cluster.
module troth.dev/flux

go 1.26.0

require (
	github.com/fluxcd/kustomize-controller v1.9.3
	github.com/fluxcd/source-controller v1.9.3
)

replace (
	github.com/fluxcd/kustomize-controller/api => github.com/fluxcd/kustomize-controller/api v1.9.3
	github.com/fluxcd/source-controller/api => github.com/fluxcd/source-controller/api v1.9.3
	github.com/opencontainers/go-digest => github.com/opencontainers/go-digest v1.0.1-0.20220411205349-bde1400a84be
	gopkg.in/yaml.v3 => gopkg.in/yaml.v3 v3.0.1
)
