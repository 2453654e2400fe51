package wake

import "testing"

func TestRingIsRememberedOnce(t *testing.T) {
	var bell Bell
	w := bell.Watch(Key{Kind: "node", ID: 1}, Key{Kind: "run", ID: 2})
	for range 3 {
		bell.Ring(Key{Kind: "run", ID: 2})
	}
	<-w.C
	select {
	case <-w.C:
		t.Fatal("rings were counted; want one remembered")
	default:
	}
	bell.Ring(Key{Kind: "run", ID: 3})
	select {
	case <-w.C:
		t.Fatal("rung by a key that is not watched")
	default:
	}
	w.Close()
	w.Close()
	bell.Ring(Key{Kind: "node", ID: 1})
	if len(bell.watches) != 0 {
		t.Fatalf("%d keys left after the only watch was closed", len(bell.watches))
	}
}
