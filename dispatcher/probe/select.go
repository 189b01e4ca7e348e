package probe

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Check says which words are neither the id of a probe nor a group, and names
// the nearest known one.
func Check(words []string) error {
	known := Groups()
	for _, p := range Catalogue() {
		known = append(known, p.ID)
	}
	var errs []error
	for _, word := range words {
		if !slices.Contains(known, word) {
			errs = append(errs, fmt.Errorf("probe: no probe and no group is called %s%s", quoted(word), suggest(word, known)))
		}
	}
	return errors.Join(errs...)
}

// selected returns the probes that are to be tried, in the order of the
// catalogue.
func selected(only, skip []string) ([]Probe, error) {
	if err := Check(slices.Concat(only, skip)); err != nil {
		return nil, err
	}
	names := func(list []string, p Probe) bool {
		return slices.Contains(list, p.ID) || slices.Contains(list, p.Group)
	}
	return slices.DeleteFunc(Catalogue(), func(p Probe) bool {
		if p.Phase == Good {
			return slices.Contains(skip, p.ID)
		}
		return names(skip, p) || len(only) > 0 && !names(only, p)
	}), nil
}

// Groups returns the groups of the catalogue, in its order.
func Groups() []string {
	var groups []string
	for _, p := range Catalogue() {
		if !slices.Contains(groups, p.Group) {
			groups = append(groups, p.Group)
		}
	}
	return groups
}

// maxWord is the longest word for which a nearest one is sought.
const maxWord = 64

// suggest names the known word that is most like a word, if one is near: it
// takes at most one change for every three characters.
func suggest(word string, known []string) string {
	best, least := "", -1
	for _, k := range known {
		if len(word) > maxWord || len(k) > maxWord {
			continue
		}
		if d := distance(strings.ToLower(word), strings.ToLower(k)); d <= max(1, len(k)/3) && (least < 0 || d < least) {
			best, least = k, d
		}
	}
	if least < 0 {
		return ""
	}
	return "; did you mean " + quoted(best) + "?"
}

// distance is how many insertions, deletions and replacements make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
