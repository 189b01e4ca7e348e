package dnszone

import (
	"sync"
	"time"
)

// Source says who answered a question.
type Source string

// The sources.
const (
	SourceZone     Source = "zone"
	SourceUpstream Source = "upstream"
)

// Words that stand for an answer without records.
const (
	AnswerNXDomain = "nxdomain" // The name does not exist.
	AnswerNoData   = "nodata"   // The name exists and has no record of the type.
	AnswerServfail = "servfail" // The server could not answer.
	AnswerTimeout  = "timeout"  // No answer came in time.
)

// Query is one question and what it came to.
type Query struct {
	Name string `json:"name"` // As asked, in lower case and without final dot.
	Type string `json:"type"` // "TXT", "MX", "A", "AAAA", "PTR".
	// Answer is the records as zone text, without name and type, one a line, so
	// that "name type line" can be loaded again; or one of the words
	// "nxdomain", "nodata", "servfail", "timeout". An upstream does not tell a
	// missing name from missing data: "nxdomain" is both there.
	Answer string `json:"answer"`
	Source Source `json:"source"`
	// Took is how long the answer took: of the zone, what its faults say; of
	// an upstream, what Options.Now measured.
	Took time.Duration `json:"took,omitempty"`
}

// queryLog keeps the latest queries.
type queryLog struct {
	mu    sync.Mutex
	kept  []Query
	limit int
	asked int
}

func (l *queryLog) add(q Query) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.kept) < l.limit {
		l.kept = append(l.kept, q)
	} else {
		l.kept[l.asked%l.limit] = q
	}
	l.asked++
}

func (l *queryLog) list() (queries []Query, asked int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	queries = make([]Query, 0, len(l.kept))
	oldest := 0
	if l.asked > l.limit {
		oldest = l.asked % l.limit
	}
	queries = append(queries, l.kept[oldest:]...)
	return append(queries, l.kept[:oldest]...), l.asked
}
