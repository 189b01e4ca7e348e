package scenarios

import "strings"

// Phase is the steps under one title.
type Phase struct {
	Title string // The comments that begin it, one a line; empty for steps before the first one.
	Line  int    // Of the title's first line, or else of the first step.
	Steps []Step
}

// Step is one line of a script.
type Step struct {
	Verb  string
	Line  int
	Col   int // Of the verb.
	Words []Word
	Args  []Arg
	Src   string // The line, without its end.
}

// Get returns the value of a key. Of a key that may be given several times it
// is the first one.
func (s Step) Get(key string) (string, bool) {
	for _, a := range s.Args {
		if a.Key == key {
			return a.Value.Text, true
		}
	}
	return "", false
}

// All returns all values of a key, in order.
func (s Step) All(key string) []string {
	var list []string
	for _, a := range s.Args {
		if a.Key == key {
			list = append(list, a.Value.Text)
		}
	}
	return list
}

// List returns the values in the comma-separated list of a key.
func (s Step) List(key string) []string {
	if v, ok := s.Get(key); ok {
		return strings.Split(v, ",")
	}
	return nil
}

// has reports whether any of the keys is given.
func (s Step) has(keys ...string) bool {
	for _, key := range keys {
		if _, ok := s.Get(key); ok {
			return true
		}
	}
	return false
}
