package policy

import "testing"

// FuzzVerify: what a hub is said to attest about a bundle never makes it trusted without a
// signature of a listed key.
func FuzzVerify(f *testing.F) {
	f.Add("fpk_1", `{"signed_at": 1, "signature": "AAAA"}`, "yes")
	f.Add("valid_license", "{}", "")
	f.Fuzz(func(t *testing.T, id, value, license string) {
		entities := Entities{"fpk_1": make([]byte, 32)}
		if id == "fpk_1" {
			entities = Entities{"fpk_2": make([]byte, 32)}
		}
		if entities.Verify([32]byte{}, map[string]string{id: value, licenseKey: license}) == nil {
			t.Fatal("trusted without a signature")
		}
	})
}
