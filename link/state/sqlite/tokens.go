package sqlite

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"errors"
	"fmt"

	"github.com/rhizome-fl/rhizome/internal/sqldb"
	"github.com/rhizome-fl/rhizome/link/state"
)

// CreateToken implements state.Membership.
func (s *Store) CreateToken(ctx context.Context, t state.JoinToken) error {
	err := s.write(ctx, func(c *change) error {
		var tokens int
		if err := c.tx.QueryRow(`SELECT COUNT(*) FROM join_tokens`).Scan(&tokens); err != nil {
			return err
		}
		if tokens >= state.MaxTokens {
			// Those that can let nobody in any more are only history.
			result, err := c.tx.Exec(`DELETE FROM join_tokens WHERE NOT (`+usable+`)`, sqldb.Micro(c.now))
			if err != nil {
				return err
			}
			gone, err := result.RowsAffected()
			if err != nil {
				return err
			}
			tokens -= int(gone)
		}
		if tokens >= state.MaxTokens {
			return fmt.Errorf("%w: %d join tokens", state.ErrTooMany, tokens)
		}
		_, err := c.tx.Exec(`INSERT INTO join_tokens (token_id, secret_hash, role, max_uses, uses, expires_at, created_at, revoked_at)
			VALUES (?, ?, ?, ?, 0, ?, ?, 0)`, t.ID, blob(t.SecretHash), string(t.Role), t.MaxUses,
			sqldb.Micro(t.ExpiresAt), sqldb.Micro(c.now))
		c.ring(state.KeyMembers())
		return err
	})
	if err != nil {
		return fmt.Errorf("create join token %s: %w", t.ID, err)
	}
	return nil
}

// ListTokens implements state.Membership.
func (s *Store) ListTokens(ctx context.Context) ([]state.JoinToken, error) {
	var tokens []state.JoinToken
	err := s.read(ctx, func(tx *sql.Tx) error {
		return each(tx, func(scan func(...any) error) error {
			t, err := scanToken(scan)
			tokens = append(tokens, t)
			return err
		}, selectTokens+` ORDER BY created_at, token_id`)
	})
	if err != nil {
		return nil, fmt.Errorf("list join tokens: %w", err)
	}
	return tokens, nil
}

// RevokeToken implements state.Membership.
func (s *Store) RevokeToken(ctx context.Context, id string) error {
	err := s.write(ctx, func(c *change) error {
		c.ring(state.KeyMembers())
		return one(c.tx, `UPDATE join_tokens SET revoked_at = CASE WHEN revoked_at = 0 THEN ? ELSE revoked_at END WHERE token_id = ?`,
			sqldb.Micro(c.now), id)
	})
	if err != nil {
		return fmt.Errorf("revoke join token %.80s: %w", id, err)
	}
	return nil
}

// usable is the condition for tokens that can let a peer in; its parameter is the time.
const usable = `revoked_at = 0 AND (max_uses = 0 OR uses < max_uses) AND (expires_at = 0 OR expires_at > ?)`

// UsableTokens implements state.Membership.
func (s *Store) UsableTokens(ctx context.Context) (bool, error) {
	var any bool
	err := s.read(ctx, func(tx *sql.Tx) error {
		return tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM join_tokens WHERE `+usable+`)`, sqldb.Micro(s.now())).Scan(&any)
	})
	if err != nil {
		return false, fmt.Errorf("look up usable join tokens: %w", err)
	}
	return any, nil
}

// Join implements state.Membership.
func (s *Store) Join(ctx context.Context, peerID, tokenID string, secret []byte, name string) (state.Member, error) {
	var m state.Member
	err := s.write(ctx, func(c *change) error {
		var err error
		m, err = readMember(c.tx, peerID)
		if !errors.Is(err, state.ErrNotFound) {
			if err == nil && !m.RevokedAt.IsZero() {
				return fmt.Errorf("%w: it was removed", state.ErrNotAllowed)
			}
			return err
		}
		t, err := scanToken(c.tx.QueryRow(selectTokens+` WHERE token_id = ? AND `+usable, tokenID, sqldb.Micro(c.now)).Scan)
		if errors.Is(err, sql.ErrNoRows) {
			return state.ErrTokenSpent
		}
		if err != nil {
			return err
		}
		hash := sha256.Sum256(secret)
		if subtle.ConstantTimeCompare(hash[:], t.SecretHash) != 1 {
			return state.ErrTokenSpent
		}
		if _, err := c.tx.Exec(`UPDATE join_tokens SET uses = uses + 1 WHERE token_id = ?`, tokenID); err != nil {
			return err
		}
		if err := addMember(c, state.Member{PeerID: peerID, Role: t.Role, Name: name, AddedBy: "ticket " + t.ID}); err != nil {
			return err
		}
		m, err = readMember(c.tx, peerID)
		return err
	})
	if err != nil {
		return state.Member{}, fmt.Errorf("join of peer %s: %w", peerID, err)
	}
	return m, nil
}

const selectTokens = `SELECT token_id, secret_hash, role, max_uses, uses, expires_at, created_at, revoked_at FROM join_tokens`

func scanToken(scan func(...any) error) (state.JoinToken, error) {
	var t state.JoinToken
	var expires, created, revoked int64
	err := scan(&t.ID, &t.SecretHash, &t.Role, &t.MaxUses, &t.Uses, &expires, &created, &revoked)
	t.ExpiresAt, t.CreatedAt, t.RevokedAt = sqldb.FromMicro(expires), sqldb.FromMicro(created), sqldb.FromMicro(revoked)
	return t, err
}
