package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// readJoin takes the value of --join, or reads it from the file that @FILE names: a ticket
// lets its bearer in, and everybody on the machine can see the command line.
func readJoin(text string) (string, error) {
	path, isFile := strings.CutPrefix(text, "@")
	if !isFile {
		return text, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read the ticket: %w", err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxJoinFile))
	if err != nil {
		return "", fmt.Errorf("read the ticket: %w", err)
	}
	joined := strings.TrimSpace(string(content))
	if joined == "" {
		return "", fmt.Errorf("%s is empty: want a ticket in it", path)
	}
	return joined, nil
}
