package scenarios

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/tools/txtar"
)

// Limits of a file. They are ours: a file is for people to read. The largest
// mail that the real provider takes (gmail-inbound.md 1.5) does not fit.
const (
	maxFileSize = 16 << 20 // Octets.
	maxSections = 1000
)

// sectionName is what a section may be called, so that its name is a bare word.
var sectionName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]*$`)

// File is a scenario. It may be read from several goroutines at once, as long
// as none changes a section.
type File struct {
	Path     string
	Phases   []Phase
	Sections []Section

	script []byte // Everything before the first section, as it was.
}

// Section is a named part of a file.
type Section struct {
	Name string
	Line int    // Of its marker, when the file was read.
	Data []byte // With the end of its last line, even if the file lacks it.

	marker []byte // The marker's line as it was.
	raw    []byte // Data as it was.
}

// Parse reads a scenario. It returns the file, or every mistake found in it;
// after many mistakes the rest is not read, which is one too. The file keeps
// data, which must not be changed. Path stands in the errors only.
func Parse(path string, data []byte) (*File, Errors) {
	p := parser{path: path, verbs: Verbs(), used: map[string]bool{}}
	if len(data) > maxFileSize {
		p.line = 1
		p.report(mistake{col: 1, msg: fmt.Sprintf("the file is larger than %d octets", maxFileSize)})
		return nil, p.errs
	}
	f := &File{Path: path}
	f.split(data)
	p.checkSections(f.Sections)
	f.Phases = p.script(string(f.script))
	p.checkOrder(f.Phases)
	p.checkUnused(f.Sections)
	if len(p.errs) > 0 {
		p.errs.sort()
		return nil, p.errs
	}
	return f, nil
}

// split finds the sections, and keeps the bytes of their marker's lines, which
// a txtar.Archive does not have.
func (f *File) split(data []byte) {
	archive := txtar.Parse(data)
	pos := min(len(archive.Comment), len(data))
	f.script = data[:pos]
	line := 1 + bytes.Count(f.script, []byte("\n"))
	for _, file := range archive.Files {
		s := Section{Name: file.Name, Line: line, Data: file.Data}
		end := len(data)
		if n := bytes.IndexByte(data[pos:], '\n'); n >= 0 {
			end = pos + n + 1
		}
		s.marker = data[pos:end]
		pos = min(end+len(file.Data), len(data))
		s.raw = data[end:pos]
		line += 1 + bytes.Count(s.raw, []byte("\n"))
		f.Sections = append(f.Sections, s)
	}
}

// atMarker makes reports be about a section's marker.
func (p *parser) atMarker(s Section) {
	p.line = s.Line
	p.src = string(bytes.TrimRight(s.marker[:min(len(s.marker), maxLineSize)], "\r\n"))
}

// markerHint helps those whose mail has a line that looks like a marker.
const markerHint = "a line that begins with \"-- \" and ends with \" --\" begins a section, in a mail too"

// checkSections checks the names of sections.
func (p *parser) checkSections(sections []Section) {
	for i, s := range sections {
		p.atMarker(s)
		switch {
		case i == maxSections:
			p.report(mistake{col: 1, msg: fmt.Sprintf("more than %d sections", maxSections)})
			return
		case !sectionName.MatchString(s.Name):
			p.report(mistake{col: 1, msg: fmt.Sprintf("bad name %q of a section", clip(s.Name)), hint: markerHint})
			p.use(s.Name)
		case slices.Contains(p.names, s.Name):
			p.report(mistake{col: 1, msg: fmt.Sprintf("there are two sections %q", clip(s.Name))})
		default:
			p.names = append(p.names, s.Name)
		}
	}
	p.line = 0
}

// clip shortens a name for a message.
func clip(name string) string {
	const most = 80
	if len(name) > most {
		return strings.ToValidUTF8(name[:most], "") + "..."
	}
	return name
}

// checkUnused finds sections that no step names. It says nothing if the script
// was not read to its end, or if there are too many sections.
func (p *parser) checkUnused(sections []Section) {
	if len(p.errs) >= maxErrors || len(sections) > maxSections {
		return
	}
	for _, s := range sections {
		if !p.used[s.Name] {
			p.atMarker(s)
			p.report(mistake{col: 1, msg: fmt.Sprintf("unused section %q: no step names it", clip(s.Name)), hint: markerHint})
		}
	}
}

// checkOrder finds steps that come too late: what happens in a world needs to
// know whose it is, and when.
func (p *parser) checkOrder(phases []Phase) {
	first := ""                 // The first step that a provider or clock must precede.
	given := map[string]int{}   // The line of the first provider and clock.
	domains := map[string]int{} // The line of each provider.
	for _, phase := range phases {
		for _, s := range phase.Steps {
			if s.Verb != "provider" && s.Verb != "clock" {
				if first == "" {
					first = fmt.Sprintf("%s in line %d", s.Verb, s.Line)
				}
				continue
			}
			p.line, p.src = s.Line, s.Src
			_, again := given[s.Verb]
			switch {
			case s.Verb == "provider" && domains[strings.ToLower(s.Words[0].Text)] > 0:
				p.report(mistake{col: s.Col, msg: fmt.Sprintf("this provider is already named in line %d", domains[strings.ToLower(s.Words[0].Text)])})
			case (!again || s.Verb == "provider") && first != "":
				p.report(mistake{col: s.Col, msg: fmt.Sprintf("%s comes after %s", s.Verb, first), hint: "provider and clock come first"})
			}
			if !again {
				given[s.Verb] = s.Line
			}
			if s.Verb == "provider" {
				domains[strings.ToLower(s.Words[0].Text)] = s.Line
			}
		}
	}
}

// CheckWorld returns an [*Error] that names the first step which does not
// belong to a world's set-up, nil if there is none.
func (f *File) CheckWorld() error {
	world := verbNames(worldVerbs())
	for _, phase := range f.Phases {
		for _, s := range phase.Steps {
			if !slices.Contains(world, s.Verb) {
				return &Error{
					Path: f.Path, Line: s.Line, Col: s.Col, Src: s.Src,
					Msg:  fmt.Sprintf("a world has no %q", s.Verb),
					Hint: "a world is made of " + strings.Join(world, ", "),
				}
			}
		}
	}
	return nil
}
