package scenarios

import (
	"bytes"
	"fmt"
	"slices"

	"golang.org/x/tools/txtar"
)

func (f *File) section(name string) *Section {
	i := slices.IndexFunc(f.Sections, func(s Section) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return &f.Sections[i]
}

// Section returns what a section holds. It must not be changed.
func (f *File) Section(name string) ([]byte, bool) {
	if s := f.section(name); s != nil {
		return s.Data, true
	}
	return nil, false
}

// Mail returns a section as mail goes over the wire: every line ends in CRLF,
// whether the file has LF or CRLF there. Any other CR is kept. The result is
// the caller's own.
func (f *File) Mail(name string) ([]byte, bool) {
	data, ok := f.Section(name)
	if !ok {
		return nil, false
	}
	mail := make([]byte, 0, len(data)+bytes.Count(data, []byte("\n")))
	for i, c := range data {
		if c == '\n' && (i == 0 || data[i-1] != '\r') {
			mail = append(mail, '\r')
		}
		mail = append(mail, c)
	}
	return mail, true
}

// SetSection replaces what a section holds; the end of a last line is added
// where it is missing. Nothing else in the file changes. It fails if there is
// no such section, or if a line of data would begin a new one. The file keeps
// data, which must not be changed.
func (f *File) SetSection(name string, data []byte) error {
	s := f.section(name)
	if s == nil {
		return fmt.Errorf("replacing section %q: there is none", name)
	}
	if archive := txtar.Parse(data); len(archive.Files) > 0 {
		return fmt.Errorf("replacing section %q: a line in it would begin section %q", name, archive.Files[0].Name)
	}
	if len(data) > 0 && data[len(data)-1] != '\n' {
		data = append(slices.Clip(data), '\n')
	}
	if !bytes.HasSuffix(s.marker, []byte("\n")) {
		s.marker = append(slices.Clip(s.marker), '\n')
	}
	s.Data, s.raw = data, data
	return nil
}

// Format returns the file's text: the bytes that were read, but for sections
// that were replaced.
func (f *File) Format() []byte {
	text := bytes.Clone(f.script)
	for _, s := range f.Sections {
		text = append(append(text, s.marker...), s.raw...)
	}
	return text
}
