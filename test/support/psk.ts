// TLS by a shared key: nobody needs a certificate.

const key = Buffer.alloc(32, 7);
const common = { ciphers: "PSK", maxVersion: "TLSv1.2" } as const;

export const PSK = {
  server: { ...common, pskCallback: () => key },
  client: {
    ...common,
    pskCallback: () => ({ psk: key, identity: "test" }),
    checkServerIdentity: () => undefined,
  },
};
