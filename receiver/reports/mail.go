package reports

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/doppelbox/doppelbox/receiver/mailauth"
)

// Mail is a mail that brings a report, before it is signed.
type Mail struct {
	From string // Of the envelope: that of the header, but for TLS reports of Google.
	To   []string
	Raw  []byte
	// Signed are the fields that a signature has to cover.
	Signed []string
}

// File returns an aggregate report, packed.
func (a Aggregate) File(r Reporter) (File, error) {
	f := File{Kind: KindDMARC, Form: r.Form, Domain: a.Domain, Window: a.Window, Records: len(a.Records), Messages: a.Messages, Notes: left(a.Older)}
	for _, rec := range a.Records {
		if !rec.DKIM && !rec.SPF {
			f.Failures += rec.Count
		}
	}
	stem, err := r.stem(a.Domain, a.Window), error(nil)
	if r.Form == Google {
		// How Google tells several reports of one day apart is not known.
		if a.place > 0 {
			stem += "!" + a.ID(r)
		}
		f.Name, f.Type = stem+".zip", "application/zip"
		f.Content, err = zipped(stem+".xml", a.End, a.XML(r))
		return f, err
	}
	f.Name, f.Type = stem+"!"+a.ID(r)+".xml.gz", "application/gzip"
	f.Content, err = gzipped(a.XML(r))
	return f, err
}

// ID is the id of the report: the same whenever it is made again.
func (a Aggregate) ID(r Reporter) string {
	return r.id("dmarc", a.Domain, fmt.Sprint(a.key(), a.Published))
}

// Mail returns the mail that brings an aggregate report to some mailboxes, as it
// is sent at a time of the provider's clock.
func (a Aggregate) Mail(r Reporter, f File, to []string, at time.Time) Mail {
	m := Mail{
		From: r.dmarcFrom(), To: to,
		Signed: []string{"MIME-Version", "Date", "Message-ID", "Subject", "From", "To", "Content-Type", "Content-Disposition", "Content-Transfer-Encoding", "From"},
	}
	id := a.ID(r)
	w := &mailWriter{}
	w.field("MIME-Version", "1.0")
	if r.Form == Google {
		// Google dates them at the end of the day, if that is over.
		if at.After(a.End) {
			at = a.End
		}
		w.field("Date", mailauth.Pacific(at).Format(dateForm))
		w.field("Message-ID", "<"+id+"@"+r.Domain+">")
		w.field("Subject", "Report domain: "+a.Domain+" Submitter: "+r.Domain+" Report-ID: "+id)
		w.field("From", m.From)
		w.field("To", strings.Join(to, ",\r\n\t"))
		w.attachment(f, "")
		m.Raw = w.b.Bytes()
		return m
	}
	w.field("Date", at.UTC().Format(dateForm))
	w.field("Message-ID", "<"+id+"@"+r.Domain+">")
	w.field("Subject", "Report Domain: "+a.Domain+"\r\n\tSubmitter: "+r.Domain+"\r\n\tReport-ID: <"+id+">")
	w.field("From", m.From)
	w.field("To", strings.Join(to, ",\r\n\t"))
	w.multipart("multipart/mixed", id, "This is a DMARC aggregate report on "+a.Domain+" from "+r.Domain+".", f)
	m.Raw = w.b.Bytes()
	return m
}

// dateForm is the date of RFC 5322 3.3.
const dateForm = "Mon, 02 Jan 2006 15:04:05 -0700"

// mailWriter writes a mail. What it is given is the package's own text, domains
// and addresses that were checked.
type mailWriter struct{ b bytes.Buffer }

func (w *mailWriter) field(name, value string) {
	fmt.Fprintf(&w.b, "%s: %s\r\n", name, value)
}

// attachment writes a file as a part, or as the whole of a mail. What follows it
// ends it.
func (w *mailWriter) attachment(f File, after string) {
	w.field("Content-Type", f.Type+";\r\n\tname=\""+f.Name+"\"")
	w.field("Content-Disposition", "attachment;\r\n\tfilename=\""+f.Name+"\"")
	w.field("Content-Transfer-Encoding", "base64")
	w.b.WriteString("\r\n")
	const width = 76
	for text := base64.StdEncoding.EncodeToString(f.Content); text != ""; {
		n := min(width, len(text))
		w.b.WriteString(text[:n] + "\r\n")
		text = text[n:]
	}
	w.b.WriteString(after)
}

// multipart writes a text and a file.
func (w *mailWriter) multipart(kind, boundary, text string, f File) {
	subtype, parameter, _ := strings.Cut(kind, ";")
	w.b.WriteString("Content-Type: " + subtype + "; boundary=\"" + boundary + "\"")
	if parameter != "" {
		w.b.WriteString(";" + parameter)
	}
	w.b.WriteString("\r\n\r\n--" + boundary + "\r\n")
	w.field("Content-Type", "text/plain; charset=\"UTF-8\"; format=flowed; delsp=yes")
	w.b.WriteString("\r\n" + text + "\r\n\r\n--" + boundary + "\r\n")
	w.attachment(f, "\r\n--"+boundary+"--\r\n")
}

// zipped packs one file, dated so that it is the same whenever it is made.
func zipped(name string, at time.Time, content []byte) ([]byte, error) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: at})
	if err != nil {
		return nil, fmt.Errorf("packing a report: %w", err)
	}
	if _, err := w.Write(content); err != nil {
		return nil, fmt.Errorf("packing a report: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("packing a report: %w", err)
	}
	return b.Bytes(), nil
}

func gzipped(content []byte) ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(content); err != nil {
		return nil, fmt.Errorf("packing a report: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("packing a report: %w", err)
	}
	return b.Bytes(), nil
}
