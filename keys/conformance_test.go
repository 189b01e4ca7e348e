package keys

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/doppelbox/doppelbox/testdata/conformance"
)

// signatureDiffers are the cases of Project Wycheproof's signatures whose result
// is another one with us.
var signatureDiffers = conformance.Differences{
	"346": {Got: "key-algorithm", Why: "the key's alg is PS256, the token's PS384: a key is used with its own algorithm only (RFC 7517 4.4, RFC 8725 3.1)"},
	"350": {Got: "key-algorithm", Why: "as 346"},
	"347": {Got: "key-algorithm", Why: "the key's alg is ES521, which no algorithm is; the token's is ES512 (RFC 7518 3.4)"},
	"351": {Got: "key-algorithm", Why: "as 347"},
	"367": {Got: "valid", Why: "the set has no padding in it: it is case 357, which is valid, octet for octet and with the same key"},
	"370": {Got: "valid", Why: "as 367"},
	"372": {Got: "not-base64url", Why: "there is a question mark in the header; base64url has no other characters (RFC 7515 sections 2 and 5.2)"},
	"373": {Got: "not-base64url", Why: "as 372, in the payload"},
}

// cookbookDiffers are those of RFC 7520 and its relatives.
func cookbookDiffers() conformance.Differences {
	d := conformance.Differences{
		"jws/4_5.signature_with_detached_content.json compact": {Got: "signature-wrong", Why: "the payload is elsewhere (RFC 7515 appendix F); a token has it in itself"},
		"rfc7797/hmac-sha2_b64_false.json compact":             {Got: "payload-unencoded", Why: "a JWT's payload is always encoded (RFC 7797 section 7)"},
		"jws/4_8.multiple_signatures.json json":                {Got: "keys-refused", Why: "a set of the three keys of the case has a secret and public keys, as Wycheproof's keys 1; and it is JSON"},
	}
	for _, name := range []string{
		"jws/4_1.rsa_v15_signature", "jws/4_2.rsa-pss_signature", "jws/4_3.ecdsa_signature", "jws/4_4.hmac-sha2_integrity_protection",
		"jws/4_5.signature_with_detached_content", "jws/4_6.protecting_specific_header_fields", "jws/4_7.protecting_content_only",
		"rfc7797/4.2.hmac-sha2_b64_false", "rfc7797/hmac-sha2_b64_false", "curve25519/jws",
	} {
		for _, form := range []string{"json", "json_flat"} {
			d[name+".json "+form] = conformance.Difference{Got: "json-serialization", Why: "a JWT is in compact serialization always (RFC 7519 section 3)"}
		}
	}
	return d
}

// outcome is what keys verify --jws --keys makes of a token when every algorithm
// is permitted: "valid", or the reason why not.
func outcome(key []byte, token string) string {
	k, err := ParseKeys(key)
	if err != nil {
		return "keys-refused"
	}
	e := Examine(token, k, VerifyOptions{Algorithms: Algorithms(), SignatureOnly: true})
	if e.Verified {
		return "valid"
	}
	return e.Reason
}

// like is an outcome in the words of a set: any reason is its "invalid".
func like(got, want string) string {
	if want == "invalid" && got != "valid" {
		return want
	}
	return got
}

// wycheproof is the form of both files.
type wycheproof struct {
	NumberOfTests int
	TestGroups    []struct {
		Public, Private json.RawMessage
		Tests           []struct {
			TcID   int
			JWS    string
			Result string
		}
	}
}

func TestWycheproof(t *testing.T) {
	t.Parallel()
	cases, differ := runWycheproof(t, "json_web_signature_test.json", signatureDiffers)
	conformance.Report(t, "jwt/wycheproof, signatures", cases, differ)
}

func TestWycheproofKeys(t *testing.T) {
	t.Parallel()
	cases, differ := runWycheproof(t, "json_web_key_test.json", nil)
	conformance.Report(t, "jwt/wycheproof, keys", cases, differ)
}

// runWycheproof runs all cases of a file, with the public keys of each group
// where it has some.
func runWycheproof(t *testing.T, name string, differs conformance.Differences) (cases, differ int) {
	t.Helper()
	data, err := os.ReadFile(conformance.Path(t, "jwt/wycheproof/"+name))
	if err != nil {
		t.Fatal(err)
	}
	var file wycheproof
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.TestGroups {
		key := g.Public
		if key == nil {
			key = g.Private
		}
		for _, c := range g.Tests {
			cases++
			got := like(outcome(key, c.JWS), c.Result)
			if !differs.Compare(t, strconv.Itoa(c.TcID), got, c.Result) {
				differ++
			}
		}
	}
	if cases != file.NumberOfTests {
		t.Errorf("%d cases were run, the file has %d", cases, file.NumberOfTests)
	}
	differs.Missing(t, differ)
	return cases, differ
}

// TestCookbook runs every form of every signature of RFC 7520 section 4, RFC
// 7797 and RFC 8037 appendix A. All are valid there.
func TestCookbook(t *testing.T) {
	t.Parallel()
	root := conformance.Path(t, "jwt/ietf-jose-cookbook")
	differs := cookbookDiffers()
	cases, differ := 0, 0
	for _, folder := range []string{"jws", "rfc7797", "curve25519"} {
		files, err := filepath.Glob(filepath.Join(root, folder, "*.json"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s has no case: %v", folder, err)
		}
		for _, path := range files {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var c struct {
				Input  struct{ Key json.RawMessage }
				Output map[string]json.RawMessage
			}
			if err := json.Unmarshal(data, &c); err != nil {
				t.Fatal(err)
			}
			if c.Input.Key[0] == '[' {
				c.Input.Key = fmt.Appendf(nil, `{"keys":%s}`, c.Input.Key)
			}
			for form, output := range c.Output {
				cases++
				token := string(output)
				if output[0] == '"' {
					if err := json.Unmarshal(output, &token); err != nil {
						t.Fatal(err)
					}
				}
				name := folder + "/" + filepath.Base(path) + " " + form
				if !differs.Compare(t, name, outcome(c.Input.Key, token), "valid") {
					differ++
				}
			}
		}
	}
	differs.Missing(t, differ)
	conformance.Report(t, "jwt/ietf-jose-cookbook, signatures", cases, differ)
}

// TestCookbookKeys reads the keys of RFC 7520 section 3.
func TestCookbookKeys(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(conformance.Path(t, "jwt/ietf-jose-cookbook/jwk"), "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		k, err := ParseKeys(data)
		if err != nil || k.Len() != 1 || k.keys[0].unusable != "" {
			t.Errorf("%s: %+v, %v", filepath.Base(path), k, err)
		}
	}
	conformance.Report(t, "jwt/ietf-jose-cookbook, keys", len(files), 0)
}
