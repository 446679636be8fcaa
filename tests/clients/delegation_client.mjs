// EIP-7702 by permissionless.js and viem, as they are: an account with a key and no code sends its first operation.
import { createSmartAccountClient } from 'permissionless'
import { to7702SimpleSmartAccount } from 'permissionless/accounts'
import { createPimlicoClient } from 'permissionless/clients/pimlico'
import { createPublicClient, encodeFunctionData, erc20Abi, http } from 'viem'
import {
  createBundlerClient, createPaymasterClient, entryPoint08Address, toSimple7702SmartAccount
} from 'viem/account-abstraction'
import { privateKeyToAccount } from 'viem/accounts'

const asked = JSON.parse(process.argv[2])
const chain = {
  id: asked.chainId, name: 'test', nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
  rpcUrls: { default: { http: [asked.node] } }
}
const client = createPublicClient({ chain, transport: http(asked.node), pollingInterval: 100 })
const bundler = http(asked.bundler, { fetchOptions: { headers: { Authorization: `Bearer ${asked.key}` } } })
const paymaster = createPaymasterClient({ transport: bundler })
const fees = createPimlicoClient({ transport: bundler, entryPoint: { address: entryPoint08Address, version: '0.8' } })
const userOperation = { estimateFeesPerGas: async () => (await fees.getUserOperationGasPrice()).standard }
const transfer = (units) => ({
  to: asked.token, data: encodeFunctionData({ abi: erc20Abi, functionName: 'transfer', args: [asked.payee, units] })
})
const authorize = async (owner) => owner.signAuthorization({
  address: asked.delegate, chainId: chain.id, nonce: await client.getTransactionCount({ address: owner.address })
})
const told = {}

const owner = privateKeyToAccount(asked.secrets[0])
const account = await to7702SimpleSmartAccount({ client, owner, accountLogicAddress: asked.delegate })
const smart = createSmartAccountClient({ account, client, chain, bundlerTransport: bundler, paymaster, userOperation, pollingInterval: 100 })
const first = await smart.sendTransaction({ calls: [transfer(1n)], authorization: await authorize(owner) })
const mined = await client.getTransaction({ hash: first })
told.first = (await client.getTransactionReceipt({ hash: first })).status
told.type = mined.type
told.code = await client.getCode({ address: account.address })
const second = await smart.sendTransaction({ calls: [transfer(2n), transfer(3n)] })
told.second = (await client.getTransactionReceipt({ hash: second })).status
told.secondType = (await client.getTransaction({ hash: second })).type

const other = privateKeyToAccount(asked.secrets[1])
const viems = await toSimple7702SmartAccount({ client, owner: other, implementation: asked.delegate })
const bundlerClient = createBundlerClient({ account: viems, client, chain, transport: bundler, paymaster, userOperation, pollingInterval: 100 })
const hash = await bundlerClient.sendUserOperation({ calls: [transfer(4n)], authorization: await authorize(other) })
told.viem = (await bundlerClient.waitForUserOperationReceipt({ hash })).success
const found = await bundlerClient.request({ method: 'eth_getUserOperationByHash', params: [hash] })
told.found = found.userOperation.eip7702Auth.address
told.factory = found.userOperation.factory ?? null
told.viemCode = await client.getCode({ address: viems.address })
console.log(JSON.stringify(told))
