//go:build tools

// Package yq pins the yq that scripts in Kratix's pipelines use; it is never compiled itself.
package yq

import (
	_ "github.com/mikefarah/yq/v4"
)
