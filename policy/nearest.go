package policy

import (
	"fmt"
	"strings"
)

// maxWord is the longest word, in characters, for which a nearest one is
// sought: the search takes time in its square.
const maxWord = 64

// Nearest returns the known word that is most like word, for "did you mean".
// It is one that can be made of word, without regard to case, by few
// insertions, deletions, replacements and swaps of neighbours: at most one
// for every three characters of the known word. The first of several equally
// near ones is returned, and false if there is none.
func Nearest(word string, known []string) (string, bool) {
	best, bestDistance := "", -1
	for _, k := range known {
		a, b := []rune(strings.ToLower(word)), []rune(strings.ToLower(k))
		if len(a) > maxWord || len(b) > maxWord {
			continue
		}
		if d := distance(a, b); d <= len(b)/3 && (bestDistance < 0 || d < bestDistance) {
			best, bestDistance = k, d
		}
	}
	return best, bestDistance >= 0
}

// Suggest is the end of a message about an unknown word: the nearest known
// one, or else all of them.
func Suggest(word string, known []string) string {
	if near, ok := Nearest(word, known); ok {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return "; known are " + strings.Join(known, ", ")
}

// distance is the optimal string alignment distance.
func distance(a, b []rune) int {
	var before []int // The row before the row above.
	above := make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := range a {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range b {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(above[j+1]+1, row[j]+1, above[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, above = above, row
	}
	return above[len(b)]
}
