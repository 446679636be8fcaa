// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IAccount} from "@account-abstraction/contracts/interfaces/IAccount.sol";
import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {ERC7821} from "@openzeppelin/contracts/account/extensions/draft-ERC7821.sol";
import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {IERC1822Proxiable} from "@openzeppelin/contracts/interfaces/draft-IERC1822.sol";
import {IERC7821} from "@openzeppelin/contracts/interfaces/draft-IERC7821.sol";
import {ERC1967Utils} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Utils.sol";
import {ERC1155Holder} from "@openzeppelin/contracts/token/ERC1155/utils/ERC1155Holder.sol";
import {ERC721Holder} from "@openzeppelin/contracts/token/ERC721/utils/ERC721Holder.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {ERC7739} from "@openzeppelin/contracts/utils/cryptography/signers/draft-ERC7739.sol";
import {IBillPayer} from "../interfaces/IBillPayer.sol";
import {AccountProxies} from "./AccountProxies.sol";
import {BillSessions} from "./BillSessions.sol";
import {Passkeys} from "./Passkeys.sol";
import {SessionPolicies} from "./SessionPolicy.sol";
import {SessionSignatures} from "./SessionSignatures.sol";
import {SessionStates} from "./SessionStates.sol";
import {Signers} from "./Signers.sol";

/// @title A customer's smart account
/// @notice The owner may do anything; a session key may pay bills within its policy, and end itself. Two ways in: user
/// operations through the EntryPoint, and payments signed for the bill lane. Both count on the same word per session.
/// @dev Trusts the EntryPoint that it was built with, for calls whose signature `validateUserOp` has checked. In a user
/// operation the first byte of the signature says who signed: 0 the owner, 1 a session key. Owner and session keys are
/// secp256k1 or P-256 keys alike; a P-256 key stands under its name (`Passkeys`) where the other has its address.
contract OpenVPPAccount is
    IAccount,
    IBillPayer,
    ERC7821,
    ERC7739,
    BillSessions,
    ERC721Holder,
    ERC1155Holder,
    IERC1822Proxiable
{
    /// @notice First byte of a user operation's signature when the owner signed: then r, s, v.
    uint8 public constant SIGNED_BY_OWNER = 0;

    /// @notice First byte when a session key signed: then its signature and, while the session is not installed, the
    /// owner's leave, as `SessionSignatures` puts them together.
    uint8 public constant SIGNED_BY_SESSION = 1;

    /// @dev keccak256(abi.encode(uint256(keccak256("openvpp.storage.Account")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant ACCOUNT_STORAGE = 0x677288ac3ece3bc8bcb8f445573953fb306cbccb0fd87a72ef8fdabd6a605e00;

    /// @custom:storage-location erc7201:openvpp.storage.Account
    /// @param owner Owner since the last rotation, or zero while it is the one in the proxy's code.
    /// @param isSelfCustodied Whether the owner is a key that the customer holds; until then it is a custodian's.
    /// @param customer May cancel what the custodian scheduled; zero until enrolled.
    /// @param readyAt Hash of a scheduled call to the first second at which it may be made, Unix time.
    struct AccountStorage {
        address owner;
        bool isSelfCustodied;
        address customer;
        mapping(bytes32 callHash => uint256 timestamp) readyAt;
    }

    /// @notice How long a custodian's upgrade or change of owner waits, in seconds.
    uint256 public constant CUSTODIAN_DELAY = 48 hours;

    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant NAME_HASH = keccak256("OpenVPP Account");
    bytes32 private constant VERSION_HASH = keccak256("1");

    address private immutable ENTRY_POINT;
    Passkeys private immutable PASSKEYS;
    address private immutable SELF = address(this);

    /// @notice The owner changed.
    /// @param previousOwner Owner before.
    /// @param newOwner Owner from now on.
    /// @param isSelfCustodied Whether the new owner is a key that the customer holds.
    event OwnerChanged(address indexed previousOwner, address indexed newOwner, bool isSelfCustodied);

    /// @notice The custodian announced an upgrade or a change of owner.
    /// @param callHash Hash of the call.
    /// @param call The call in full, to be read by anybody.
    /// @param readyAt First second at which it may be made, Unix time.
    event ChangeScheduled(bytes32 indexed callHash, bytes call, uint256 readyAt);

    /// @notice An announced change was called off.
    /// @param callHash Hash of the call.
    event ChangeCancelled(bytes32 indexed callHash);

    /// @notice The customer's own key was enrolled, or replaced by itself.
    /// @param customer The key's address.
    event CustomerEnrolled(address indexed customer);

    /// @notice Caller may not do this.
    /// @param caller Who called.
    error NotAuthorised(address caller);

    /// @notice First byte of a signature names no kind of signer.
    /// @param kind The byte, or 255 when the signature is empty or cut short.
    error UnknownSignatureKind(uint8 kind);

    /// @notice A session key may only pay bills and end itself.
    /// @param selector What it asked for.
    error NotASessionCall(bytes4 selector);

    /// @notice An implementation must say that it is one (ERC-1822).
    /// @param implementation Address that does not.
    error NotAnImplementation(address implementation);

    /// @notice Owner zero would lock the account for ever.
    error OwnerIsZero();

    /// @notice A custodian's change was not announced, or must wait longer.
    /// @param callHash Hash of the call.
    /// @param readyAt First second at which it may be made, Unix time, or zero if it was not announced.
    error ChangeNotReady(bytes32 callHash, uint256 readyAt);

    /// @notice Only upgrades and changes of owner are announced.
    /// @param selector What was to be announced.
    error NotAChange(bytes4 selector);

    /// @param entryPoint_ EntryPoint v0.8 whose operations are accepted.
    constructor(address entryPoint_) EIP712("OpenVPP Account", "1") {
        ENTRY_POINT = entryPoint_;
        PASSKEYS = new Passkeys();
    }

    modifier onlyOwner() {
        if (!_isOwnerCall(msg.sender)) revert NotAuthorised(msg.sender);
        _;
    }

    /// @dev The owner's, and while that is a custodian announced 48 hours before, to the last byte; used once.
    modifier afterDelay() {
        if (!_isOwnerCall(msg.sender)) revert NotAuthorised(msg.sender);
        AccountStorage storage stored = _accountStorage();
        if (!stored.isSelfCustodied) {
            bytes32 callHash = keccak256(msg.data);
            uint256 ready = stored.readyAt[callHash];
            if (ready == 0 || block.timestamp < ready) revert ChangeNotReady(callHash, ready);
            delete stored.readyAt[callHash];
        }
        _;
    }

    /// @notice Takes native coin.
    receive() external payable {}

    /// @inheritdoc IAccount
    function validateUserOp(PackedUserOperation calldata op, bytes32 userOpHash, uint256 missingAccountFunds)
        external
        returns (uint256 validationData)
    {
        if (msg.sender != ENTRY_POINT) revert NotAuthorised(msg.sender);
        bytes calldata signature = op.signature;
        if (signature.length < 66) revert UnknownSignatureKind(type(uint8).max);
        uint8 kind = uint8(signature[0]);
        if (kind == SIGNED_BY_SESSION) {
            validationData = _validateSession(op.callData, userOpHash, signature[1:]);
        } else if (kind == SIGNED_BY_OWNER) {
            validationData = Signers.isSigner(owner(), userOpHash, signature[1:], PASSKEYS) ? 0 : 1;
        } else {
            revert UnknownSignatureKind(kind);
        }
        if (missingAccountFunds != 0) {
            // The EntryPoint checks its own deposit afterwards, so a failure here is found there.
            (bool sent,) = payable(msg.sender).call{value: missingAccountFunds}("");
            sent;
        }
    }

    /// @inheritdoc IBillPayer
    function payBill(bytes32[5] calldata policy, bytes16 ref, uint256 amount, uint256 fee, bool inFeeToken) external {
        if (msg.sender != ENTRY_POINT && msg.sender != address(this)) revert NotAuthorised(msg.sender);
        bytes32 sessionId = SessionPolicies.id(policy);
        _pay(policy, sessionId, _sessionState(sessionId), ref, amount, fee, inFeeToken);
    }

    /// @notice Ends a session at the wish of its own key, sent directly or as a user operation.
    /// @param policy Packed session policy.
    function renounceSession(bytes32[5] calldata policy) external {
        if (msg.sender != ENTRY_POINT && msg.sender != address(bytes20(policy[0]))) revert NotAuthorised(msg.sender);
        _revokeSession(SessionPolicies.id(policy));
    }

    /// @notice Ends sessions for ever, installed or not.
    /// @param sessionIds Hashes of their packed policies.
    function revokeSessions(bytes32[] calldata sessionIds) external onlyOwner {
        for (uint256 i = 0; i < sessionIds.length; ++i) {
            _revokeSession(sessionIds[i]);
        }
    }

    /// @notice Stops sessions until they are unfrozen.
    /// @param sessionIds Hashes of their packed policies.
    function freezeSessions(bytes32[] calldata sessionIds) external onlyOwner {
        for (uint256 i = 0; i < sessionIds.length; ++i) {
            _setFrozen(sessionIds[i], true);
        }
    }

    /// @notice Lets frozen sessions go on.
    /// @param sessionIds Hashes of their packed policies.
    function unfreezeSessions(bytes32[] calldata sessionIds) external onlyOwner {
        for (uint256 i = 0; i < sessionIds.length; ++i) {
            _setFrozen(sessionIds[i], false);
        }
    }

    /// @notice Announces an upgrade or a change of owner, which a custodian may make 48 hours later.
    /// @param call The whole call: `changeOwner` or `upgradeToAndCall` with its arguments.
    function scheduleChange(bytes calldata call) external onlyOwner {
        bytes4 selector = bytes4(call);
        if (selector != this.changeOwner.selector && selector != this.upgradeToAndCall.selector) {
            revert NotAChange(selector);
        }
        bytes32 callHash = keccak256(call);
        uint256 ready = block.timestamp + CUSTODIAN_DELAY;
        _accountStorage().readyAt[callHash] = ready;
        emit ChangeScheduled(callHash, call, ready);
    }

    /// @notice Calls off an announced change; for the owner and the customer.
    /// @param callHash Hash of the call.
    function cancelChange(bytes32 callHash) external {
        AccountStorage storage stored = _accountStorage();
        if (msg.sender != stored.customer && !_isOwnerCall(msg.sender)) revert NotAuthorised(msg.sender);
        delete stored.readyAt[callHash];
        emit ChangeCancelled(callHash);
    }

    /// @notice Enrols the customer's own key, which may cancel changes. The owner enrols the first; only the customer
    /// replaces it.
    /// @param newCustomer The key's address.
    function enrolCustomer(address newCustomer) external {
        AccountStorage storage stored = _accountStorage();
        address current = stored.customer;
        bool isAllowed = current == address(0) ? _isOwnerCall(msg.sender) : msg.sender == current;
        if (!isAllowed) revert NotAuthorised(msg.sender);
        stored.customer = newCustomer;
        emit CustomerEnrolled(newCustomer);
    }

    /// @notice Gives the account to another owner; announced 48 hours before while the owner is a custodian.
    /// @param newOwner Owner from now on.
    /// @param isSelfCustodied Whether that is a key that the customer holds, so that nothing waits from now on.
    function changeOwner(address newOwner, bool isSelfCustodied) external afterDelay {
        if (newOwner == address(0)) revert OwnerIsZero();
        emit OwnerChanged(owner(), newOwner, isSelfCustodied);
        AccountStorage storage stored = _accountStorage();
        stored.owner = newOwner;
        stored.isSelfCustodied = isSelfCustodied;
    }

    /// @notice Replaces the implementation; announced 48 hours before while the owner is a custodian.
    /// @param newImplementation Contract that answers `proxiableUUID` with the ERC-1967 slot.
    /// @param data Call made to it afterwards, or empty.
    function upgradeToAndCall(address newImplementation, bytes calldata data) external payable afterDelay {
        if (newImplementation.code.length == 0) revert NotAnImplementation(newImplementation);
        try IERC1822Proxiable(newImplementation).proxiableUUID() returns (bytes32 slot) {
            if (slot != ERC1967Utils.IMPLEMENTATION_SLOT) revert NotAnImplementation(newImplementation);
        } catch {
            revert NotAnImplementation(newImplementation);
        }
        ERC1967Utils.upgradeToAndCall(newImplementation, data);
    }

    /// @inheritdoc IERC1822Proxiable
    function proxiableUUID() external view returns (bytes32) {
        if (address(this) != SELF) revert NotAuthorised(msg.sender);
        return ERC1967Utils.IMPLEMENTATION_SLOT;
    }

    /// @notice EntryPoint whose operations are accepted.
    function entryPoint() external view returns (address) {
        return ENTRY_POINT;
    }

    /// @notice Who knows the signatures of P-256 keys.
    function passkeys() external view returns (Passkeys) {
        return PASSKEYS;
    }

    /// @notice The customer's enrolled key, or zero.
    function customer() external view returns (address) {
        return _accountStorage().customer;
    }

    /// @notice Whether the owner is a key that the customer holds.
    function isSelfCustodied() external view returns (bool) {
        return _accountStorage().isSelfCustodied;
    }

    /// @notice First second at which an announced change may be made, Unix time, or zero if none was announced.
    /// @param callHash Hash of the call.
    function changeReadyAt(bytes32 callHash) external view returns (uint256) {
        return _accountStorage().readyAt[callHash];
    }

    /// @notice Owner of the account; zero for the implementation itself, which therefore obeys nobody.
    function owner() public view returns (address current) {
        if (address(this) == SELF) return address(0);
        current = _accountStorage().owner;
        if (current != address(0)) return current;
        uint256 offset = AccountProxies.OWNER_OFFSET;
        assembly ("memory-safe") {
            extcodecopy(address(), 0, offset, 20)
            current := shr(96, mload(0))
        }
    }

    /// @notice ERC-165: token receivers, ERC-1271 and ERC-7821.
    function supportsInterface(bytes4 interfaceId) public view override returns (bool) {
        return interfaceId == type(IERC1271).interfaceId || interfaceId == type(IERC7821).interfaceId
            || interfaceId == type(IAccount).interfaceId || super.supportsInterface(interfaceId);
    }

    /// @dev A session key signed: the call must carry the policy of a live session, or of one that the owner's
    /// signature installs now. Limits are counted when the payment is made.
    function _validateSession(bytes calldata callData, bytes32 userOpHash, bytes calldata signature)
        private
        returns (uint256 validationData)
    {
        bytes4 selector = bytes4(callData);
        if (callData.length < 164 || (selector != this.payBill.selector && selector != this.renounceSession.selector)) {
            revert NotASessionCall(selector);
        }
        bytes32[5] calldata policy;
        assembly ("memory-safe") {
            policy := add(callData.offset, 4)
        }
        (bytes calldata ofKey, bytes calldata leave) = SessionSignatures.split(signature);
        bool genuine = _admitSession(policy, SessionPolicies.id(policy), leave);
        genuine = Signers.isSigner(address(bytes20(policy[0])), userOpHash, ofKey, PASSKEYS) && genuine;
        uint256 times = uint256(policy[4]);
        uint256 validUntil = uint40(times >> 80) - 1;
        uint256 validAfter = uint40(times >> 120);
        if (validAfter != 0) validAfter -= 1;
        return (validAfter << 208) | (validUntil << 160) | (genuine ? 0 : 1);
    }

    function _passkeys() internal view override returns (Passkeys) {
        return PASSKEYS;
    }

    function _sessionOwner() internal view override returns (address) {
        return owner();
    }

    function _typedDataHash(bytes32 structHash) internal view override returns (bytes32 digest) {
        // The domain of a proxy is never the one that EIP712 keeps ready, so it is made here with less ado.
        bytes32 typehash = DOMAIN_TYPEHASH;
        bytes32 nameHash = NAME_HASH;
        bytes32 versionHash = VERSION_HASH;
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, typehash)
            mstore(add(free, 32), nameHash)
            mstore(add(free, 64), versionHash)
            mstore(add(free, 96), chainid())
            mstore(add(free, 128), address())
            let domain := keccak256(free, 160)
            mstore(free, shl(240, 0x1901))
            mstore(add(free, 2), domain)
            mstore(add(free, 34), structHash)
            digest := keccak256(free, 66)
        }
    }

    /// @dev ERC-1271 through ERC-7739: the owner signs for this account only.
    function _rawSignatureValidation(bytes32 hash, bytes calldata signature) internal view override returns (bool) {
        return Signers.isSigner(owner(), hash, signature, PASSKEYS);
    }

    function _erc7821AuthorizedExecutor(address caller, bytes32, bytes calldata) internal view override returns (bool) {
        return _isOwnerCall(caller);
    }

    function _isOwnerCall(address caller) private view returns (bool) {
        return caller == ENTRY_POINT || caller == address(this) || (caller == owner() && caller != address(0));
    }

    function _accountStorage() private pure returns (AccountStorage storage stored) {
        assembly ("memory-safe") {
            stored.slot := ACCOUNT_STORAGE
        }
    }
}
