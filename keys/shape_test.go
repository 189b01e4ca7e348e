package keys

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
)

// TestShapedToken holds that each part of a shape does one thing, and that a token
// of any shape is verified.
func TestShapedToken(t *testing.T) {
	t.Parallel()
	s, _ := newSet(t, Options{})
	whole := "alg kid typ, aud azp email email_verified exp iat iss sub"
	for shape, want := range map[Shape]string{
		{}:                 whole,
		{BareIssuer: true}: whole,
		{NoSubject: true}:  "alg kid typ, aud azp email email_verified exp iat iss",
		{NoEmail: true}:    "alg kid typ, aud azp exp iat iss sub",
		{NoType: true}:     "alg kid, aud azp email email_verified exp iat iss sub",
		{ID: true}:         "alg kid typ, aud azp email email_verified exp iat iss jti sub",
		{BareIssuer: true, NoSubject: true, NoEmail: true, NoType: true, ID: true}: "alg kid, aud azp exp iat iss jti",
	} {
		token, err := s.ShapedToken(Claims{Audience: audience}, shape)
		if err != nil {
			t.Fatal(err)
		}
		header, claims := decoded(t, token)
		if got := names(t, header) + ", " + names(t, claims); got != want {
			t.Errorf("%+v: %s, want %s", shape, got, want)
		}
		forged, err := s.Forge(Claims{Audience: audience}, Forgery{Shape: shape, Claims: map[string]any{"azp": "x"}})
		if err != nil {
			t.Fatal(err)
		}
		if header, claims := decoded(t, forged); names(t, header)+", "+names(t, claims) != want {
			t.Errorf("%+v, forged: %s, %s", shape, header, claims)
		}
		got, err := s.Verify(token, VerifyOptions{Audience: audience})
		if err != nil || (got.Issuer == "accounts.google.com") != shape.BareIssuer {
			t.Errorf("%+v: issuer %s, %v", shape, got.Issuer, err)
		}
		again, err := s.ShapedToken(Claims{Audience: audience}, shape)
		if err != nil || (again == token) == shape.ID {
			t.Errorf("%+v: a second token of the same second: %t, %v", shape, again == token, err)
		}
		// Who says which issuer he wants gets that one.
		if _, err := s.Verify(token, VerifyOptions{Audience: audience, Issuer: DefaultIssuer}); (err != nil) != shape.BareIssuer {
			t.Errorf("%+v, by one issuer: %v", shape, err)
		}
	}
	if _, err := s.ShapedToken(Claims{}, Shape{ID: true}); err == nil {
		t.Error("a token without audience was made")
	}
}

// names are those of the members of a JSON object.
func names(t *testing.T, object string) string {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal([]byte(object), &members); err != nil {
		t.Fatal(err)
	}
	return strings.Join(slices.Sorted(maps.Keys(members)), " ")
}
