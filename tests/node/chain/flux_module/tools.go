//go:build tools

// Package flux pins Flux's controllers; it is never compiled itself.
package flux

import (
	_ "github.com/fluxcd/kustomize-controller"
	_ "github.com/fluxcd/source-controller"
)
