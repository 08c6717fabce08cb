// Reads a JSON list of SQL statements and writes, for each, why CockroachDB's own parser refuses it; "" where it
// does not.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/cockroachdb/cockroachdb-parser/pkg/sql/parser"
)

func fault(sql string) string {
	parsed, err := parser.Parse(sql)
	if err != nil {
		return err.Error()
	}
	if len(parsed) != 1 {
		return fmt.Sprintf("%d statements in one", len(parsed))
	}
	return ""
}

func main() {
	var statements []string
	if err := json.NewDecoder(os.Stdin).Decode(&statements); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	faults := make([]string, len(statements))
	for i, sql := range statements {
		faults[i] = fault(sql)
	}
	if err := json.NewEncoder(os.Stdout).Encode(faults); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}
