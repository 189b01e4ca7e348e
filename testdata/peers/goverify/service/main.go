// Service is the service of shop.example, as its authors would write it: it
// approves an expense if the request has a token of Google's.
package main

import (
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strings"

	"google.golang.org/api/idtoken"
)

const (
	audience = "https://shop.example"
	gmail    = "gmail@system.gserviceaccount.com"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("service: usage: service CERTIFICATE KEY")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /approve", approve)
	fmt.Println(listener.Addr())
	log.Fatal(http.ServeTLS(listener, mux, os.Args[1], os.Args[2]))
}

func approve(w http.ResponseWriter, r *http.Request) {
	if err := fromGmail(r); err != nil {
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	fmt.Fprintf(w, "expense %s is %s\n", r.FormValue("expense"), r.FormValue("confirmed"))
}

// fromGmail says whether Gmail made a request, for a mail of ours. The library
// checks neither who issued the token nor for whom.
func fromGmail(r *http.Request) error {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return errors.New("no bearer token")
	}
	payload, err := idtoken.Validate(r.Context(), token, audience)
	if err != nil {
		return err
	}
	if payload.Issuer != "https://accounts.google.com" || payload.Claims["azp"] != gmail || payload.Claims["email"] != gmail {
		return errors.New("not a token of Gmail's")
	}
	return nil
}
