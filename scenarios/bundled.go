package scenarios

import "embed"

// Bundled is the scenarios that come with the program: each file's name says
// what it claims.
//
//go:embed *.txtar
var Bundled embed.FS
