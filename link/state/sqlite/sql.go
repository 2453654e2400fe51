package sqlite

import (
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/rhizome-fl/rhizome/link/state"
)

// inList is an expression that is true for values in a list made by [listOf].
const inList = ` IN (SELECT value FROM json_each(?)) `

// listOf passes strings as one parameter, so that the statement is the same for any number.
func listOf(ids []string) string {
	text, err := json.Marshal(ids)
	if err != nil {
		panic(err) // strings can always be encoded
	}
	return string(text)
}

// each calls row for every row of a query or of a statement that returns rows.
func each(tx *sql.Tx, row func(scan func(dest ...any) error) error, query string, args ...any) error {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// column collects the single column of a query.
func column[T any](tx *sql.Tx, query string, args ...any) ([]T, error) {
	var values []T
	err := each(tx, func(scan func(...any) error) error {
		var v T
		if err := scan(&v); err != nil {
			return err
		}
		values = append(values, v)
		return nil
	}, query, args...)
	return values, err
}

// one runs a statement that must touch a row; if it does not, it returns ErrNotFound.
func one(tx *sql.Tx, query string, args ...any) error {
	result, err := tx.Exec(query, args...)
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	if err == nil && n == 0 {
		return state.ErrNotFound
	}
	return err
}

// objectKey is the form in which an object id is stored. ok is false if id is not an object id.
func objectKey(id string) (key []byte, ok bool) {
	key, err := hex.DecodeString(id)
	return key, err == nil && len(key) == 32 && strings.ToLower(id) == id
}

// short cleans and bounds text that a stranger chose.
func short(text string) string {
	if len(text) > state.MaxDetailBytes {
		text = text[:state.MaxDetailBytes]
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// nullable stores an empty value as NULL, of which a UNIQUE column may have many.
func nullable[T ~string | ~[]byte](v T) any {
	if len(v) == 0 {
		return nil
	}
	return v
}

// notFound turns the absence of a row into state.ErrNotFound.
func notFound(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return state.ErrNotFound
	}
	return err
}

func nodeErr(what string, nodeID uint64, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s node %d: %w", what, nodeID, err)
}

func runErr(what string, runID uint64, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s run %d: %w", what, runID, err)
}
