package objects

import "sync"

// blocks are the buffers of all transfers.
var blocks blockPool

type blockPool struct{ pool sync.Pool }

func (p *blockPool) get() *[]byte {
	if buf, ok := p.pool.Get().(*[]byte); ok {
		return buf
	}
	buf := make([]byte, copyBlock)
	return &buf
}

func (p *blockPool) put(buf *[]byte) { p.pool.Put(buf) }
