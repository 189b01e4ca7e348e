package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/doppelbox/doppelbox/policy"
)

// maxBody bounds a request's body in JSON, in octets.
const maxBody = 64 << 10

// readBody reads a request's JSON object into a struct, whose members are all
// that it may have. It answers the client itself if it cannot.
func readBody(w http.ResponseWriter, r *http.Request, to any) bool {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		problem(w, http.StatusRequestEntityTooLarge, "reading the request: "+err.Error())
		return false
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		problem(w, http.StatusBadRequest, "the request is no JSON object: "+err.Error())
		return false
	}
	known := memberNames(to)
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if !slices.Contains(known, name) {
			problem(w, http.StatusBadRequest, fmt.Sprintf("the request has no member %q%s", name, policy.Suggest(name, known)))
			return false
		}
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber() // A claim keeps its digits.
	if err := d.Decode(to); err != nil {
		problem(w, http.StatusBadRequest, "reading the request: "+err.Error())
		return false
	}
	return true
}

// memberNames are the names of a struct's members in JSON.
func memberNames(to any) []string {
	var names []string
	for f := range reflect.TypeOf(to).Elem().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}
