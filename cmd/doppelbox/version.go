package main

import (
	"fmt"
	"runtime/debug"
)

type versionCommand struct{}

// Run prints what the binary was built from.
func (c *versionCommand) Run(s streams) error {
	version := "(devel)"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		version = info.Main.Version
	}
	fmt.Fprintf(s.out, "doppelbox %s\n", version)
	return nil
}
