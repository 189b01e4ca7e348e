package scenarios

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/doppelbox/doppelbox/keys"
)

// tokenPaths tells of a bearer token: its header and claims as they are
// written, and whether a sound service would accept it now.
func (r *Runner) tokenPaths(p *paths, token string) {
	if token == "" {
		return
	}
	audience := ""
	for _, part := range strings.SplitN(token, ".", 3)[:2] {
		members := tokenPart(part)
		for _, name := range slices.Sorted(maps.Keys(members)) {
			value := fmt.Sprint(members[name])
			p.add("token."+name, value)
			if name == "aud" {
				audience = value
			}
		}
	}
	if e := r.p.Keys().Examine(token, keys.VerifyOptions{Audience: audience}); !e.Verified {
		p.add("token.verified", "no")
		p.add("token.reason", e.Reason)
		p.add("token.problem", e.Err().Error())
		return
	}
	p.add("token.verified", "yes")
}

// tokenPart reads one part of a token of ours, without verifying anything.
func tokenPart(part string) map[string]any {
	raw, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return nil
	}
	// Numbers stay as they are written: a time is not 1.7e9.
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var members map[string]any
	if d.Decode(&members) != nil {
		return nil
	}
	return members
}
