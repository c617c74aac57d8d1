//go:build tools

// Package cloudnativepg pins CloudNativePG's operator; it is never compiled itself.
package cloudnativepg

import (
	_ "github.com/cloudnative-pg/cloudnative-pg/cmd/manager"
)
