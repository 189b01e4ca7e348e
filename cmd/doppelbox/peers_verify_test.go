//go:build peers

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/keys"
)

// pastOverlap is longer than a key is published after it was rotated away: until
// the first document that is made after its overlap.
const pastOverlap = 12 * time.Hour

// testVerifier runs a program that nobody has told about doppelbox: it verifies
// the tokens of real requests, before and after keys are rotated, and says of
// the tokens of the table what stands there.
func testVerifier(t *testing.T, v tokenVerifier) {
	service := startService(t)
	// The program has the machine's clock, and a key that was withdrawn has to be
	// one of the past. So the provider's clock begins there.
	world := "clock " + time.Now().Add(-pastOverlap).UTC().Format(time.RFC3339) + "\n" + peerWorld(service.addr)
	e := startExec(t, world, []string{"--trust=" + service.ca}, v.argv...)
	first := e.request(t, service)
	e.steps(t, "rotate", "advance "+pastOverlap.String())

	good := e.request(t, service)
	var table strings.Builder
	for _, token := range verifierTokens {
		text := good
		if token.name != verifierTokens[0].name {
			text = e.forge(t, token, good)
		}
		if token.signing == keys.SignWithdrawn && keyID(t, text) != keyID(t, first) {
			t.Errorf("the key that was withdrawn is %s, and the token names %s", keyID(t, first), keyID(t, text))
		}
		answer := e.ask(t, text, audience)
		fmt.Fprintf(&table, "%-40s %s\n", token.name, v.expect(t, token, answer))
		if token.name == verifierTokens[0].name {
			if err := answer.trusted(); err != nil {
				t.Error(err)
			}
		}
	}
	t.Logf("what %s says of tokens:\n%s", v.argv, &table)

	e.steps(t, "rotate")
	second := e.request(t, service)
	if keyID(t, first) == keyID(t, good) || keyID(t, good) == keyID(t, second) {
		t.Errorf("keys were rotated, and the tokens name %s, %s and %s", keyID(t, first), keyID(t, good), keyID(t, second))
	}
	for name, token := range map[string]string{"the new key": second, "the key that was rotated away": good} {
		if err := e.ask(t, token, audience).trusted(); err != nil {
			t.Errorf("a token of %s: %v", name, err)
		}
	}
	grafted := second[:strings.LastIndexByte(second, '.')] + good[strings.LastIndexByte(good, '.'):]
	if a := e.ask(t, grafted, audience); !v.refusals.MatchString(a.Refused) {
		t.Errorf("a token of the new key with the old one's signature: %+v", a)
	}

	// Now the old key has been withdrawn, too. Who asks learns of it at once; the
	// others when what they keep becomes too old, which takes hours.
	e.steps(t, "advance "+pastOverlap.String())
	if a := e.ask(t, good, audience); v.keeps && a.trusted() != nil || !v.keeps && !v.refusals.MatchString(a.Refused) {
		t.Errorf("a token of a key that was withdrawn just now: %+v", a)
	}
	e.end(t)
}

// expect says what an answer is, and fails the test if it is not that of the
// table.
func (v tokenVerifier) expect(t *testing.T, token verifierToken, a tokenAnswer) string {
	t.Helper()
	// What was asked may be in it.
	said := strings.TrimSpace(regexp.MustCompile(`[\w-]{30,}(\.[\w-]*)*|: \{["'].*`).ReplaceAllString(a.Refused, "..."))
	switch {
	case a.Refused == "" && !token.acceptedBy(v.column):
		t.Errorf("a token with %s was accepted; the table says that it is refused", token.name)
	case a.Refused != "" && !v.refusals.MatchString(a.Refused):
		t.Errorf("a token with %s: something went wrong: %s", token.name, a.Refused)
	case a.Refused != "" && token.acceptedBy(v.column):
		t.Errorf("a token with %s was refused (%s); the table says that it is accepted", token.name, said)
	}
	if a.Refused == "" {
		return "accepted"
	}
	return "refused: " + said
}

func TestPeersTokenPython(t *testing.T) {
	t.Parallel()
	testVerifier(t, pythonVerifier(t))
}

// TestPeersTokenOAuth2Client has the library that Google's page on bearer tokens
// shows for Python. It is no longer kept up.
func TestPeersTokenOAuth2Client(t *testing.T) {
	t.Parallel()
	python := needDebian(t, "/usr/bin/python3", "python3")
	needDebianFor(t, "oauth2client for Python", func() error {
		return exec.Command(python, "-c", "import oauth2client.client").Run()
	}, "python3-oauth2client")
	testVerifier(t, tokenVerifier{
		column: "oauth2client", keeps: true, argv: []string{python, filepath.Join(peerData(t), "verify_oauth2client.py")},
		refusals: regexp.MustCompile(`^AppIdentityError: `),
	})
}

func TestPeersTokenNode(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"9.15.1", "10.9.1", "11.3.4"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			node := needNode(t, "google-auth-library@"+version)
			testVerifier(t, tokenVerifier{
				column: "node", keeps: true, argv: node.program(t, "verify.cjs"),
				refusals: regexp.MustCompile(`^(Wrong recipient|Wrong number of segments|Invalid token signature|Invalid issuer|No pem found for envelope|No issue time|No expiration time|Token used too |Expiration time too far)`),
			})
		})
	}
}

// TestPeersTokenJava has google-api-client of Debian, which verifies as Google's
// page on bearer tokens shows.
func TestPeersTokenJava(t *testing.T) {
	t.Parallel()
	needDebian(t, "javac", "default-jdk-headless")
	java := needDebian(t, "java", "default-jdk-headless")
	var jars []string
	for _, name := range []string{
		"google-api-client", "google-http-client", "google-http-client-gson", "google-oauth-client",
		"gson", "guava", "opencensus-api", "opencensus-contrib-http-util", "grpc-context",
	} {
		jars = append(jars, filepath.Join("/usr/share/java", name+".jar"))
	}
	needDebianFor(t, "google-api-client for Java", func() error {
		for _, jar := range jars {
			if _, err := os.Stat(jar); err != nil {
				return err
			}
		}
		return nil
	}, "libgoogle-api-client-java")
	testVerifier(t, tokenVerifier{
		column: "java", keeps: true, argv: []string{java, "-cp", strings.Join(jars, ":"), filepath.Join(peerData(t), "Verify.java")},
		// It does not say why. What lacks a claim or a part is thrown.
		refusals: regexp.MustCompile(`^(verify returned null|java\.lang\.NullPointerException: .*TimeSeconds|java\.lang\.IllegalArgumentException)`),
	})
}

// TestPeersTokenGo has the libraries of Go, and an HTTPS service that uses one.
func TestPeersTokenGo(t *testing.T) {
	t.Parallel()
	dir := buildGoPrograms(t)
	for _, tt := range []struct{ library, column, refusals string }{
		{"idtoken", "idtoken", `^(idtoken: (unable to unmarshal JWT (header|payload)|token expired|expected JWT signed|could not find matching cert|audience provided does not match|invalid token)|crypto/rsa: verification error$)`},
		{"auth", "idtoken", `^(idtoken: (unable to unmarshal JWT (header|payload)|token expired|expected JWT signed|could not find matching cert|audience provided does not match|invalid token)|crypto/rsa: verification error$)`},
		{"oidc", "oidc", `^(oidc: |failed to verify signature: failed to verify id token signature$)`},
	} {
		t.Run(tt.library, func(t *testing.T) {
			t.Parallel()
			testVerifier(t, tokenVerifier{
				column: tt.column, keeps: true, argv: []string{filepath.Join(dir, "goverify"), tt.library}, refusals: regexp.MustCompile(tt.refusals),
			})
		})
	}
	t.Run("service", func(t *testing.T) {
		t.Parallel()
		testGoService(t, filepath.Join(dir, "service"))
	})
}

// buildGoPrograms builds the programs of the module that uses Google's
// libraries, and returns where they are. If the libraries cannot be downloaded,
// the test is skipped, or fails under CI=true.
func buildGoPrograms(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	cmd := exec.CommandContext(peerContext(t), "go", "build", "-o", dir+"/", "./...")
	cmd.Dir = filepath.Join(peerData(t), "goverify")
	if out, err := cmd.CombinedOutput(); err != nil {
		giveUp := t.Skipf
		if os.Getenv("CI") == "true" {
			giveUp = t.Fatalf
		}
		giveUp("go build in testdata/peers/goverify needs its modules, from the network or the module cache: %v\n%s", err, out)
	}
	return dir
}

// testGoService presses buttons whose requests go to an ordinary service.
func testGoService(t *testing.T, program string) {
	key, certificate := selfSigned(t, "shop.example")
	files := map[string]string{key: filepath.Join(t.TempDir(), "key.pem"), certificate: filepath.Join(t.TempDir(), "certificate.pem")}
	for text, path := range files {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e := startExec(t, peerWorld(""), []string{"--trust=" + files[certificate]}, program, files[certificate], files[key])
	e.steps(t, "route shop.example to="+e.await(t, "127.0.0.1:"))
	e.deliver(t)
	e.steps(t,
		"# Who is not Gmail is refused, and takes nothing away.",
		"click 0 persona=other-provider", "expect request.0.status == 401", "expect click.state == failed",
		"click 0 persona=third-party", "expect request.1.status == 401", "expect click.state == failed",
		"# The provider is Gmail, as far as anybody can tell.",
		"click 0", "expect request.2.status == 200", "expect click.state == succeeded", `expect request.2.response.body contains "expense 4711 is Approved"`,
		"rotate")
	e.deliver(t)
	e.steps(t, "click 0", "expect request.3.status == 200", "expect click.state == succeeded")
	e.stop(t)
}
