package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

// fetchCommand is a program of scripts that knows nothing of doppelbox: it gets
// URLs, as the environment says how, and prints the answers. With --post TEXT
// it posts the text.
func fetchCommand() {
	args, method, body := os.Args[1:], http.MethodGet, ""
	if len(args) > 2 && args[0] == "--post" {
		args, method, body = args[2:], http.MethodPost, args[1]
	}
	code := 0
	for _, url := range args {
		if err := fetchOne(method, url, body); err != nil {
			fmt.Println(err)
			code = 1
		}
	}
	os.Exit(code)
}

func fetchOne(method, url, body string) error {
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	if body != "" {
		r.Header.Set("Content-Type", "text/plain")
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	fmt.Printf("%s %s %s\n%s\n", answer.Proto, answer.Status, answer.Header.Get("Content-Type"), text)
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("answered %s", answer.Status)
	}
	return nil
}
