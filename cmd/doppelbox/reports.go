package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/receiver/reports"
)

type reportsCommand struct {
	For       string `required:"" placeholder:"DOMAIN" help:"The domain that the reports are about."`
	Out       string `required:"" placeholder:"DIR" help:"Write the reports, and the mails that would bring them, into this folder."`
	Form      string `enum:"google,rfc9990,both" default:"google" help:"google (as Google writes them), rfc9990 (as RFC 9990 and RFC 8460 say), or both."`
	Day       string `placeholder:"YYYY-MM-DD" help:"Only this day of UTC. Default: every day that there is traffic of."`
	Overwrite bool   `help:"Replace files that are in the way and are no reports. Reports of the same name are always replaced."`
	apiFlag
}

// Run asks a running provider for its reports and writes them.
func (c *reportsCommand) Run(ctx context.Context, s streams) error {
	if _, err := time.Parse(time.DateOnly, c.Day); c.Day != "" && err != nil {
		return usagef("--day %q is not a day such as 2026-01-15", c.Day)
	}
	query := url.Values{"for": {c.For}, "form": {c.Form}, "day": {c.Day}}
	data, err := c.call(ctx, http.MethodGet, "/api/v1/reports?"+query.Encode(), "")
	if err != nil {
		return err
	}
	var answer struct {
		Files   []reports.File `json:"files"`
		Problem string         `json:"problem"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return usagef("reading the answer of %s: %w", c.API, err)
	}
	if len(answer.Files) == 0 {
		fmt.Fprintln(s.out, policy.Printable(answer.Problem))
		return errNotHeld
	}
	if err := os.MkdirAll(c.Out, 0o755); err != nil {
		return usagef("--out: %w", err)
	}
	// Nothing outside of the folder can be reached through it.
	root, err := os.OpenRoot(c.Out)
	if err != nil {
		return usagef("--out: %w", err)
	}
	defer root.Close()
	names := map[string]bool{}
	for _, f := range answer.Files {
		if names[f.Name] {
			return usagef("the provider named two files %q: ask for one --form, or one --day", f.Name)
		}
		names[f.Name] = true
	}
	for _, f := range answer.Files {
		if err := c.write(root, f); err != nil {
			return err
		}
		fmt.Fprint(s.out, describe(f))
	}
	return nil
}

// write writes a file, also over one of the same name if that is a report, too:
// a report that is made again has the same name.
func (c *reportsCommand) write(root *os.Root, f reports.File) error {
	if f.Name != filepath.Base(f.Name) || !filepath.IsLocal(f.Name) || strings.ContainsAny(f.Name, `/\`) {
		return usagef("the provider named a file %q, which is not one of the folder", f.Name)
	}
	info, err := root.Lstat(f.Name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return usageError{err}
	case !info.Mode().IsRegular():
		return usagef("%s is in the way: it is no file", filepath.Join(c.Out, f.Name))
	case !c.Overwrite && !sameKind(root, f):
		return hinted{usagef("%s is in the way: it is no report", filepath.Join(c.Out, f.Name)), "--overwrite replaces it"}
	}
	if err := putWhole(root, f); err != nil {
		return usageError{err}
	}
	return nil
}

// putWhole writes a file beside, and gives it its name when all of it is there.
func putWhole(root *os.Root, f reports.File) error {
	beside := ".doppelbox-" + rand.Text()
	out, err := root.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = out.Write(f.Content)
	if err = errors.Join(err, out.Close()); err == nil {
		err = root.Rename(beside, f.Name)
	}
	if err != nil {
		return errors.Join(err, root.Remove(beside))
	}
	return nil
}

// sameKind says whether the file that is there begins as the new one does: as a
// packed file, as a mail that is signed, or as a zone, of which the first line
// tells. An empty one holds nothing that could be lost.
func sameKind(root *os.Root, f reports.File) bool {
	start := 2
	if f.Kind == reports.KindZone {
		start = bytes.IndexByte(f.Content, '\n') + 1
	}
	there, err := root.Open(f.Name)
	if err != nil {
		return false
	}
	defer there.Close()
	begin := make([]byte, start)
	switch _, err := io.ReadFull(there, begin); {
	case errors.Is(err, io.EOF):
		return true
	case err != nil:
		return false
	}
	return bytes.HasPrefix(f.Content, begin)
}

// describe says what a file holds, on a line, and below it what should be known.
func describe(f reports.File) string {
	var b strings.Builder
	b.WriteString(policy.Printable(f.Name) + ": ")
	switch f.Kind {
	case reports.KindDMARC:
		fmt.Fprintf(&b, "DMARC of %s, %s of %s, %d without aligned pass\n", f.Begin.Format(time.DateOnly), counted(f.Records, "record"), counted(f.Messages, "message"), f.Failures)
	case reports.KindTLS:
		fmt.Fprintf(&b, "TLS of %s, %s by %s, %d failed\n", f.Begin.Format(time.DateOnly), counted(f.Messages, "session"), counted(f.Records, "policy"), f.Failures)
	case reports.KindZone:
		fmt.Fprintf(&b, "DNS records by which the mails from %s pass DMARC\n", policy.Printable(f.Domain))
	default:
		fmt.Fprintf(&b, "mail from %s to %s\n", policy.Printable(f.From), policy.Printable(strings.Join(f.To, ", ")))
	}
	for _, note := range f.Notes {
		b.WriteString("  " + policy.Printable(note) + "\n")
	}
	return b.String()
}

// counted writes a number of things.
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if rest, ok := strings.CutSuffix(what, "y"); ok {
		return fmt.Sprintf("%d %sies", n, rest)
	}
	return fmt.Sprintf("%d %ss", n, what)
}
