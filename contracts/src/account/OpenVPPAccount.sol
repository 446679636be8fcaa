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
import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {ERC7739} from "@openzeppelin/contracts/utils/cryptography/signers/draft-ERC7739.sol";
import {IBillPayer} from "../interfaces/IBillPayer.sol";
import {AccountBase} from "./AccountBase.sol";
import {AccountControl} from "./AccountControl.sol";
import {BillSessions} from "./BillSessions.sol";
import {Passkeys} from "./Passkeys.sol";
import {SessionPolicies} from "./SessionPolicy.sol";
import {SessionSignatures} from "./SessionSignatures.sol";
import {Signers} from "./Signers.sol";

/// @title A customer's smart account
/// @notice The owner may do anything; a session key may pay bills, or make other calls, within its policy, and end
/// itself. Two ways in: user operations through the EntryPoint, and payments signed for the bill lane. Both count on the
/// same word per session. `AccountControl` says who controls the account and how that changes.
/// @dev Trusts the EntryPoint that it was built with, for calls whose signature `validateUserOp` has checked. In a user
/// operation the first byte of the signature says who signed: 0 the owner, 1 a session key. Owner and session keys are
/// secp256k1 or P-256 keys alike; a P-256 key stands under its name (`Passkeys`) where the other has its address.
contract OpenVPPAccount is
    IAccount,
    IBillPayer,
    ERC7821,
    ERC7739,
    AccountBase,
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

    /// @dev Code for everything that payments don't need.
    AccountControl private immutable CONTROL;

    /// @notice First byte of a signature names no kind of signer.
    /// @param kind The byte, or 255 when the signature is empty or cut short.
    error UnknownSignatureKind(uint8 kind);

    /// @notice An operation that a session key signed must be paid by a paymaster, never by the account.
    error SessionPaysNoGas();

    /// @param entryPoint_ EntryPoint v0.8 whose operations are accepted.
    /// @param selfCustody Implementation that an exit moves the account to; zero makes this one that.
    constructor(address entryPoint_, OpenVPPAccount selfCustody)
        EIP712("OpenVPP Account", "1")
        AccountBase(
            entryPoint_,
            address(selfCustody),
            address(selfCustody) == address(0) ? new Passkeys() : selfCustody.passkeys()
        )
    {
        CONTROL = new AccountControl(entryPoint_, address(selfCustody), PASSKEYS);
    }

    /// @notice Takes native coin.
    receive() external payable {}

    /// @notice What is not here is in `AccountControl`, whose code runs as the account's own.
    fallback() external payable {
        if (address(this) == SELF) revert NotAuthorised(msg.sender);
        address control = address(CONTROL);
        assembly ("memory-safe") {
            let free := mload(0x40)
            calldatacopy(free, 0, calldatasize())
            let done := delegatecall(gas(), control, free, calldatasize(), 0, 0)
            returndatacopy(free, 0, returndatasize())
            if iszero(done) { revert(free, returndatasize()) }
            return(free, returndatasize())
        }
    }

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
            // Were the account to pay, a key could turn all its native coin into gas at any price.
            if (op.paymasterAndData.length == 0) revert SessionPaysNoGas();
            return _validateSession(op.callData, userOpHash, signature[1:]);
        }
        if (kind != SIGNED_BY_OWNER) revert UnknownSignatureKind(kind);
        validationData = Signers.isSigner(owner(), userOpHash, signature[1:], PASSKEYS) ? 0 : 1;
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
        _pay(policy, sessionId, _requireLive(sessionId), ref, amount, fee, inFeeToken);
    }

    /// @notice Ends a session at the wish of its own key, sent directly or as a user operation.
    /// @param policy Packed session policy.
    function renounceSession(bytes32[5] calldata policy) external {
        if (msg.sender != ENTRY_POINT && msg.sender != address(bytes20(policy[0]))) revert NotAuthorised(msg.sender);
        _revokeSession(SessionPolicies.id(policy));
    }

    /// @notice Ends sessions for ever, installed or not; for the owner and the guardian.
    /// @param sessionIds Hashes of their packed policies.
    function revokeSessions(bytes32[] calldata sessionIds) external {
        if (!_isOwnerCall(msg.sender) && !_isGuardian(msg.sender)) revert NotAuthorised(msg.sender);
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

    /// @notice Lets frozen and held sessions go on.
    /// @param sessionIds Hashes of their packed policies.
    function unfreezeSessions(bytes32[] calldata sessionIds) external onlyOwner {
        for (uint256 i = 0; i < sessionIds.length; ++i) {
            _setFrozen(sessionIds[i], false);
        }
    }

    /// @inheritdoc IERC1822Proxiable
    function proxiableUUID() external view returns (bytes32) {
        if (address(this) != SELF) revert NotAuthorised(msg.sender);
        return ERC1967Utils.IMPLEMENTATION_SLOT;
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
        (bytes calldata ofKey, bytes calldata leave) = SessionSignatures.split(signature);
        if (callData.length < 164 || (selector != this.payBill.selector && selector != this.renounceSession.selector)) {
            if (address(this) == SELF) revert NotAuthorised(msg.sender);
            bytes memory call = abi.encodeCall(CONTROL.validateCallSession, (callData, userOpHash, signature));
            return abi.decode(Address.functionDelegateCall(address(CONTROL), call), (uint256));
        }
        bytes32[5] calldata policy;
        assembly ("memory-safe") {
            policy := add(callData.offset, 4)
        }
        bool genuine = Signers.isSigner(address(bytes20(policy[0])), userOpHash, ofKey, PASSKEYS);
        // A key may always end itself: whether its session is stopped, over, or not even installed.
        if (selector == this.renounceSession.selector) return genuine ? 0 : 1;
        genuine = _admitSession(policy, SessionPolicies.id(policy), leave) != 0 && genuine;
        uint256 times = uint256(policy[4]);
        return _validationData(uint40(times >> 120), uint40(times >> 80), genuine);
    }

    /// @dev ERC-1271 through ERC-7739: the owner signs for this account only.
    function _rawSignatureValidation(bytes32 hash, bytes calldata signature) internal view override returns (bool) {
        return Signers.isSigner(owner(), hash, signature, PASSKEYS);
    }

    function _erc7821AuthorizedExecutor(address caller, bytes32, bytes calldata) internal view override returns (bool) {
        return _isOwnerCall(caller);
    }
}
