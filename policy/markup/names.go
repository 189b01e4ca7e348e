package markup

import (
	"slices"
	"strings"
	"unicode"
)

// names are the properties around actions whose misspelling would silently
// cost a button, by what they belong to. Only these are compared.
var (
	itemNames    = append([]string{"trackingUrl"}, actionProperties...)
	actionNames  = append([]string{"target", "url", "name", "startTime", "endTime"}, handlerProperties...)
	handlerNames = []string{"url", "method", "encoding"}
)

// misspelt are words that people write for another one.
var misspelt = map[string]string{
	"actionurl":         "url",
	"href":              "url",
	"httpactionhandler": "handler",
	"httpmethod":        "method",
	"label":             "name",
	"link":              "url",
}

// checkNames finds property names that look like a mistake for another.
func (f *finder) checkNames(it *item) {
	names := itemNames
	switch {
	case it.actionType() != "":
		names = actionNames
	case it.is(handlerType):
		names = handlerNames
	}
	for _, p := range it.props {
		want := nearest(p.name, names)
		if want == "" && f.syntax == syntaxJSONLD && bareName(p.name) == "type" {
			want = "@type"
		}
		if want != "" {
			f.page.add(p.at, PropertyUnknown, "property %.60q of %q is not known; %q is", p.name, it.typ(), want)
		}
	}
}

// nearest returns the name that s was meant to be, "" if s is right or is like
// none of them.
func nearest(s string, names []string) string {
	if slices.Contains(names, s) {
		return ""
	}
	bare := bareName(s)
	if want := misspelt[bare]; slices.Contains(names, want) {
		return want
	}
	for _, name := range names {
		if bare == bareName(name) {
			return canonical(name)
		}
	}
	return ""
}

// bareName drops what people get wrong: case, separators, plural.
func bareName(s string) string {
	s = strings.Map(func(r rune) rune {
		switch r {
		case '_', '-', ' ', '@':
			return -1
		}
		return unicode.ToLower(r)
	}, s)
	return strings.TrimSuffix(s, "s")
}

// canonical returns today's name for one that may be legacy.
func canonical(name string) string {
	for _, names := range [][]string{actionProperties, handlerProperties} {
		if slices.Contains(names, name) {
			return names[0]
		}
	}
	return name
}
