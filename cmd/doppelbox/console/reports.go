package console

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/doppelbox/doppelbox/receiver/reports"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// reports answers with the provider's reports on a domain, as files. Where there
// is nothing to report there are none, and the problem says so.
func (a api) reports(w http.ResponseWriter, r *http.Request) {
	type answer struct {
		Files   []reports.File `json:"files"`
		Problem string         `json:"problem,omitempty"`
	}
	q := provider.ReportQuery{Domain: r.URL.Query().Get("for")}
	switch form := r.URL.Query().Get("form"); form {
	case "both":
	case "", string(reports.Google):
		q.Form = reports.Google
	case string(reports.RFC9990):
		q.Form = reports.RFC9990
	default:
		problem(w, http.StatusBadRequest, fmt.Sprintf("form is google, rfc9990 or both, not %q", form))
		return
	}
	if text := r.URL.Query().Get("day"); text != "" {
		day, err := time.Parse(time.DateOnly, text)
		if err != nil {
			problem(w, http.StatusBadRequest, fmt.Sprintf("day is one such as 2026-01-15, not %q", text))
			return
		}
		q.Day = day
	}
	if q.Domain == "" {
		problem(w, http.StatusBadRequest, "for names the domain that the reports are about")
		return
	}
	files, err := a.p.Reports(r.Context(), q)
	var none *reports.NoTrafficError
	switch {
	case errors.As(err, &none):
		reply(w, http.StatusOK, answer{Files: []reports.File{}, Problem: none.Error()})
	case errors.Is(err, provider.ErrDomain):
		problem(w, http.StatusBadRequest, err.Error())
	case err != nil:
		problem(w, http.StatusInternalServerError, err.Error())
	default:
		reply(w, http.StatusOK, answer{Files: files})
	}
}
