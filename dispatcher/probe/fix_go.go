package probe

var goSnippets = map[string]string{}
var nodeSnippets = map[string]string{}
var pythonSnippets = map[string]string{}
var javaSnippets = map[string]string{}
