package probe

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// WriteCatalogue writes the catalogue for people: a line for each probe, under
// its group, with what it differs in.
func WriteCatalogue(w io.Writer) error {
	var b strings.Builder
	for i, g := range Groups() {
		if i > 0 {
			b.WriteString("\n")
		}
		b.WriteString(g + "\n")
		for _, p := range Catalogue() {
			if p.Group != g {
				continue
			}
			fmt.Fprintf(&b, "  %-27s %-8s %-13s ", p.ID, p.Severity, p.Expect)
			b.WriteString(strings.TrimPrefix(wrapped(strings.Repeat(" ", 53), p.Title), strings.Repeat(" ", 53)))
			b.WriteString(wrapped(strings.Repeat(" ", 8), p.Change.String()))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// String says what a change changes, for people.
func (c Change) String() string {
	var parts []string
	add := func(name string, value any) {
		if text := fmt.Sprint(value); text != "" {
			parts = append(parts, name+" "+text)
		}
	}
	add("plan", string(c.Plan))
	if c.Token.Other {
		parts = append(parts, "token of another provider")
	}
	add("signed", string(c.Token.Signing))
	if c.Token.EmbedKey {
		parts = append(parts, "key in the header")
	}
	if c.Token.EmbedChain {
		parts = append(parts, "certificate in the header")
	}
	add("header", members(c.Token.Header))
	add("claims", members(c.Token.Claims))
	add("token", string(c.Token.Edit))
	switch {
	case c.Authorization == nil:
	case len(c.Authorization) == 0:
		parts = append(parts, "no Authorization")
	default:
		add("Authorization", fmt.Sprintf("%q", c.Authorization))
	}
	add("limited-use token", string(c.LimitedUse))
	add("method", c.Method)
	add("path", c.Path)
	add("target", c.Target)
	add("query", edits(c.Query))
	add("form", edits(c.Form))
	add("body", printable(c.Body))
	for _, f := range c.Set {
		add(f.Name+":", printable(f.Value))
	}
	for _, name := range c.Drop {
		parts = append(parts, "no "+name)
	}
	if c.Extra > 0 {
		add("fields more:", c.Extra)
	}
	add("version", c.Version)
	add("framing", string(c.Framing))
	add("then", string(c.Then))
	if c.Pad > 0 {
		add("padding", c.Pad)
	}
	return cmp.Or(strings.Join(parts, "; "), "nothing")
}

// members are the members of a JSON object, in the order of their names.
func members(m map[string]any) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		switch v := m[name].(type) {
		case nil:
			list = append(list, "no "+name)
		case FromNow:
			list = append(list, fmt.Sprintf("%s=now%+.0fs", name, time.Duration(v).Seconds()))
		case Text:
			list = append(list, fmt.Sprintf("%s=\"now%+.0fs\"", name, time.Duration(v).Seconds()))
		case Fraction:
			list = append(list, fmt.Sprintf("%s=now%+.0fs and a half", name, time.Duration(v).Seconds()))
		default:
			text, err := json.Marshal(v)
			if err != nil {
				text = []byte("?")
			}
			list = append(list, name+"="+string(text))
		}
	}
	return strings.Join(list, ", ")
}

// edits are edits for people.
func edits(list []Edit) string {
	texts := make([]string, len(list))
	for i, e := range list {
		texts[i] = strings.TrimSpace(string(e.Op) + " " + strings.TrimSuffix(e.Name+"="+e.Value, "="))
	}
	return strings.Join(texts, ", ")
}
