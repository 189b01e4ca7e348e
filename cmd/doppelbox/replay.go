package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/doppelbox/doppelbox/scenarios"
)

type replayCommand struct {
	Files   []string `arg:"" optional:"" help:"Scenario files, or folders of them." placeholder:"FILE"`
	Bundled bool     `help:"Run the scenarios that come with doppelbox."`
	Update  bool     `help:"Let cmp rewrite its section instead of comparing."`
	Paths   bool     `help:"Print every path that can be asserted at the end of each file."`
	Format  string   `enum:"text,json,junit,tap" default:"text" help:"Form of the report: text, json, junit or tap."`
	JSON    bool     `name:"json" help:"The same as --format=json."`
	Verbose bool     `short:"v" help:"Name the files and phases that held, too."`
}

// scenarioFile is a file that is to be run.
type scenarioFile struct {
	path    string
	data    []byte
	bundled bool
}

// Run runs the files, several at a time, and reports them in their order.
func (c *replayCommand) Run(ctx context.Context, s streams) error {
	list, err := c.sources(s)
	if err != nil {
		return err
	}
	files := make([]*scenarios.File, len(list))
	var mistakes scenarios.Errors
	for i, src := range list {
		f, errs := scenarios.Parse(src.path, src.data)
		files[i], mistakes = f, append(mistakes, errs...)
	}
	if err := mistakes.Err(); err != nil {
		return usageError{err}
	}
	results, err := c.runAll(ctx, files)
	if err != nil {
		return faultError{err}
	}
	if err := c.write(list, files, results); err != nil {
		return err
	}
	return c.report(s, results)
}

func (c *replayCommand) sources(s streams) ([]scenarioFile, error) {
	var list []scenarioFile
	if c.Bundled {
		names, err := fs.Glob(scenarios.Bundled, "*.txtar")
		if err != nil {
			return nil, faultError{err}
		}
		for _, name := range names {
			data, err := scenarios.Bundled.ReadFile(name)
			if err != nil {
				return nil, faultError{err}
			}
			list = append(list, scenarioFile{path: name, data: data, bundled: true})
		}
	}
	paths, err := expand(c.Files)
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		data, err := readFile(s, path, maxTextFile)
		if err != nil {
			return nil, err
		}
		list = append(list, scenarioFile{path: path, data: data})
	}
	if len(list) == 0 {
		return nil, hinted{usagef("no file to run"), "name scenario files, or use --bundled"}
	}
	return list, nil
}

// expand replaces folders by the scenario files in them.
func expand(paths []string) ([]string, error) {
	var list []string
	for _, path := range paths {
		info, err := os.Stat(path)
		if path == "-" || err != nil || !info.IsDir() {
			list = append(list, path) // What is missing is said when it is read.
			continue
		}
		found, err := filepath.Glob(filepath.Join(path, "*.txtar"))
		if err != nil {
			return nil, usageError{err}
		}
		if len(found) == 0 {
			return nil, usagef("folder %q has no .txtar file", path)
		}
		list = append(list, found...)
	}
	return list, nil
}

// runAll runs files side by side: they share nothing.
func (c *replayCommand) runAll(ctx context.Context, files []*scenarios.File) ([]scenarios.Result, error) {
	results := make([]scenarios.Result, len(files))
	errs := make([]error, len(files))
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	var group sync.WaitGroup
	for i, f := range files {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			results[i], errs[i] = scenarios.Run(ctx, f, scenarios.RunOptions{Update: c.Update, Paths: c.Paths})
		})
	}
	group.Wait()
	for i, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("%s: %w", files[i].Path, err)
		}
	}
	return results, nil
}

// write writes back the files that an update has changed.
func (c *replayCommand) write(list []scenarioFile, files []*scenarios.File, results []scenarios.Result) error {
	for i, r := range results {
		if !r.Updated || list[i].path == "-" || list[i].bundled {
			continue
		}
		if err := os.WriteFile(list[i].path, files[i].Format(), 0o644); err != nil {
			return usageError{err}
		}
	}
	return nil
}

func (c *replayCommand) report(s streams, results []scenarios.Result) error {
	if c.JSON {
		c.Format = "json"
	}
	switch c.Format {
	case "json":
		if err := scenarios.WriteJSON(s.out, results); err != nil {
			return err
		}
	case "junit":
		if err := scenarios.WriteJUnit(s.out, results); err != nil {
			return err
		}
	case "tap":
		if err := scenarios.WriteTAP(s.out, results); err != nil {
			return err
		}
	default:
		c.text(s, results)
	}
	if slices.ContainsFunc(results, func(r scenarios.Result) bool { return !r.Held() }) {
		return errNotHeld
	}
	return nil
}

func (c *replayCommand) text(s streams, results []scenarios.Result) {
	failed, claims := 0, 0
	for _, r := range results {
		claims += r.Claims()
		switch {
		case !r.Held():
			failed++
			fmt.Fprintf(s.out, "FAIL %s\n", r.Path)
			for _, p := range r.Phases {
				if len(p.Failures) > 0 {
					fmt.Fprintf(s.out, "%s%s", titled(p.Title), p.Failures.Report())
				}
			}
			if r.Stopped {
				fmt.Fprintln(s.out, "stopped: the steps after it were not run")
			}
		case r.Updated:
			fmt.Fprintf(s.out, "updated %s\n", r.Path)
		case c.Verbose:
			fmt.Fprintf(s.out, "ok   %s (%d claims)\n", r.Path, r.Claims())
		}
		for _, p := range r.Paths {
			fmt.Fprintf(s.out, "%s = %q\n", p.Name, p.Value)
		}
	}
	fmt.Fprintf(s.out, "%d scenarios held, %d did not; %d claims\n", len(results)-failed, failed, claims)
}

func titled(title string) string {
	if title == "" {
		return ""
	}
	return "# " + strings.ReplaceAll(title, "\n", "\n# ") + "\n"
}
