package dnszone

import "github.com/doppelbox/doppelbox/policy"

// suggest returns "; did you mean ...?" with the word nearest to one that is
// not known, or nothing if none is near.
func suggest(word string, known []string) string {
	if near, ok := policy.Nearest(word, known); ok {
		return "; did you mean " + near + "?"
	}
	return ""
}
