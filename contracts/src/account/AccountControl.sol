// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC1822Proxiable} from "@openzeppelin/contracts/interfaces/draft-IERC1822.sol";
import {ERC1967Utils} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Utils.sol";
import {AccountBase} from "./AccountBase.sol";
import {CallPolicies, CallPolicy, CallRule} from "./CallPolicy.sol";
import {CallSessions} from "./CallSessions.sol";
import {Exits} from "./Exits.sol";
import {Passkeys} from "./Passkeys.sol";
import {SessionSignatures} from "./SessionSignatures.sol";
import {Signers} from "./Signers.sol";

/// @title Who controls an account, how that changes, and sessions that make other calls
/// @notice There are two implementations of the same source. In the custodial one the owner is a custodian: upgrades,
/// changes of owner and of guardian, and new kinds of call for sessions are announced 48 hours before and can be called
/// off by the customer's enrolled key. Exit moves an account to the self-custody one, in one step and for good.
/// @dev Code of the account that payments never need: `OpenVPPAccount` delegates to it what it does not know itself.
/// The owner may: everything else at once (custody is custody: it moves funds, ends and stops sessions). The
/// customer's key, an address or a P-256 key, may: call off what is announced, exit, replace itself; it moves nothing.
/// The guardian may: stop sessions for a week, end them, and propose another owner, which waits 48 hours and can be
/// called off by owner and customer; it never moves funds, upgrades, or touches an exit. Anybody may carry out an exit
/// or a recovery that is ripe. The sessions of the two implementations stand in two places of storage, so that an exit
/// ends all that a custodian let in, listed or not, and no payment reads a word more for it. Therefore no upgrade leads
/// back to a custodial implementation, which would find the old sessions alive: who wants a custodian again opens
/// another account.
contract AccountControl is Exits, CallSessions {
    /// @notice How long it may be made afterwards, in seconds; an exit for ever.
    uint256 public constant CHANGE_WINDOW = 14 days;

    /// @dev EIP-712 type of what the customer's key signs for others to bring.
    bytes32 internal constant CUSTOMER_CALL_TYPEHASH = keccak256("CustomerCall(bytes call,uint256 nonce)");

    /// @notice A change was announced.
    /// @param callHash Hash of the call.
    /// @param call The call in full, to be read by anybody.
    /// @param readyAt First second at which it may be made, Unix time.
    event ChangeScheduled(bytes32 indexed callHash, bytes call, uint256 readyAt);

    /// @notice An announced change was called off.
    /// @param callHash Hash of the call.
    event ChangeCancelled(bytes32 indexed callHash);

    /// @notice Sessions may make such calls, or no longer.
    /// @param target Whom they call.
    /// @param selector What they call.
    /// @param isAllowed Whether they may.
    event CallKindChanged(address indexed target, bytes4 indexed selector, bool isAllowed);

    /// @notice An account that left custody stays out.
    error CustodyIsOver();

    /// @notice An implementation must say that it is one (ERC-1822).
    /// @param implementation Address that does not.
    error NotAnImplementation(address implementation);

    /// @notice A change was not announced by who must, or must wait longer, or waited too long.
    /// @param callHash Hash of the call.
    /// @param readyAt First second at which it may be made, Unix time, or zero if it was not announced.
    error ChangeNotReady(bytes32 callHash, uint256 readyAt);

    /// @notice Such a call is not announced, or not the customer's to make.
    /// @param selector What it was.
    error NotAChange(bytes4 selector);

    /// @dev The owner's, and while that is a custodian announced 48 hours before, to the last byte; used once.
    modifier afterDelay() {
        if (!_isOwnerCall(msg.sender)) revert NotAuthorised(msg.sender);
        if (_isCustodial()) _useNotice(keccak256(msg.data), owner());
        _;
    }

    /// @param entryPoint_ EntryPoint v0.8.
    /// @param selfCustody_ Implementation that an exit moves the account to; zero in the self-custody one itself.
    /// @param passkeys_ Who knows the signatures of P-256 keys.
    constructor(address entryPoint_, address selfCustody_, Passkeys passkeys_)
        AccountBase(entryPoint_, selfCustody_, passkeys_)
    {}

    /// @notice Announces a change that a custodian may make 48 hours later.
    /// @param call The whole call with its arguments: `changeOwner`, `upgradeToAndCall`, `setGuardian` or `allowCalls`.
    function scheduleChange(bytes calldata call) external onlyOwner {
        bytes4 selector = bytes4(call);
        if (
            selector != this.changeOwner.selector && selector != this.upgradeToAndCall.selector
                && selector != this.setGuardian.selector && selector != this.allowCalls.selector
        ) revert NotAChange(selector);
        _announce(call, owner());
    }

    /// @notice Proposes another owner than the present, for whom the account waits 48 hours; for the guardian alone.
    /// @param newOwner Who should own the account.
    function scheduleRecovery(address newOwner) external {
        if (msg.sender != _accountStorage().guardian) revert NotAuthorised(msg.sender);
        _announce(abi.encodeCall(this.recover, (owner(), newOwner)), msg.sender);
    }

    /// @notice Calls off an announced change or recovery; for the owner and the customer.
    /// @param callHash Hash of the call.
    function cancelChange(bytes32 callHash) external {
        if (msg.sender != _accountStorage().customer && !_isOwnerCall(msg.sender)) revert NotAuthorised(msg.sender);
        _cancelChange(callHash);
    }

    /// @notice Enrols the customer's own key. The owner enrols the first; the customer replaces it, or a recovery does.
    /// @param newCustomer The key's address, or the name of a P-256 key.
    function enrolCustomer(address newCustomer) external {
        address current = _accountStorage().customer;
        bool isAllowed = current == address(0) ? _isOwnerCall(msg.sender) : msg.sender == current;
        if (!isAllowed) revert NotAuthorised(msg.sender);
        _enrolCustomer(newCustomer);
    }

    /// @notice Does what the customer's key signed, whoever brings it: `cancelChange`, `enrolCustomer`, `announceExit`
    /// or `cancelExit`.
    /// @param call The whole call with its arguments.
    /// @param signature The key's signature of `customerCallDigest(call)`.
    function callAsCustomer(bytes calldata call, bytes calldata signature) external {
        AccountStorage storage stored = _accountStorage();
        address key = stored.customer;
        if (!Signers.isSigner(key, customerCallDigest(call), signature, PASSKEYS)) revert NotSignedBy(key);
        stored.customerNonce += 1;
        bytes4 selector = bytes4(call);
        if (selector == this.cancelChange.selector) {
            _cancelChange(abi.decode(call[4:], (bytes32)));
        } else if (selector == this.enrolCustomer.selector) {
            _enrolCustomer(abi.decode(call[4:], (address)));
        } else if (selector == this.announceExit.selector) {
            (address newOwner, bool keepsGuardian) = abi.decode(call[4:], (address, bool));
            _announceExit(newOwner, keepsGuardian, true);
        } else if (selector == this.cancelExit.selector) {
            _cancelExit();
        } else {
            revert NotAChange(selector);
        }
    }

    /// @notice Gives the account to another owner; sessions stay.
    /// @param newOwner Owner from now on.
    function changeOwner(address newOwner) external afterDelay {
        _changeOwner(newOwner);
    }

    /// @notice Gives the account to the owner whom the guardian proposed 48 hours before; sessions stay until ended.
    /// In self-custody the new owner's key is the customer's enrolled one too, in place of the one that was lost.
    /// @param previousOwner Owner until now, as when it was proposed.
    /// @param newOwner Owner from now on.
    function recover(address previousOwner, address newOwner) external {
        if (_accountStorage().exit.newOwner != address(0)) revert ExitIsPending();
        if (previousOwner != owner()) revert NotAuthorised(previousOwner);
        address proposer = _accountStorage().guardian;
        if (proposer == address(0)) revert NotAuthorised(msg.sender);
        _useNotice(keccak256(msg.data), proposer);
        _changeOwner(newOwner);
        // Whoever finds the lost key must not call off what the customer's next recovery announces.
        if (!_isCustodial()) _enrolCustomer(newOwner);
    }

    /// @notice Appoints a guardian; the first at once, but none while the customer's exit is announced.
    /// @param newGuardian Guardian from now on, or zero for none.
    function setGuardian(address newGuardian) external onlyOwner {
        if (_isCustodial()) {
            AccountStorage storage stored = _accountStorage();
            // The exit may keep the guardian whom the customer knew, not one who came afterwards.
            if (stored.exit.isCustomers) revert ExitIsPending();
            if (stored.guardian != address(0)) _useNotice(keccak256(msg.data), owner());
        }
        _setGuardian(newGuardian);
    }

    /// @notice Lets sessions make such calls, within their own rules. In self-custody they may without it.
    /// @param target Whom they call.
    /// @param selector What they call.
    function allowCalls(address target, bytes4 selector) external afterDelay {
        _setCallKind(target, selector, true);
    }

    /// @notice Lets sessions make such calls no longer.
    /// @param target Whom they call.
    /// @param selector What they call.
    function forbidCalls(address target, bytes4 selector) external onlyOwner {
        _setCallKind(target, selector, false);
    }

    /// @notice Replaces the implementation; in self-custody by none that is for custodians.
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
        if (_isCustodial()) return;
        // Whoever else's implementation does not know the question is the owner's choice.
        (bool answered, bytes memory answer) = address(this).staticcall(abi.encodeCall(this.isSelfCustodied, ()));
        if (answered && answer.length == 32 && bytes32(answer) == 0) revert CustodyIsOver();
    }

    /// @notice Makes a call for a session; reached through the EntryPoint.
    /// @param policy The session's policy.
    /// @param rule The rule that lets the call through.
    /// @param proof Merkle proof of the rule in the policy's tree.
    /// @param value Native coin that goes with it, in wei.
    /// @param data Selector and arguments.
    function callBySession(
        CallPolicy calldata policy,
        CallRule calldata rule,
        bytes32[] calldata proof,
        uint256 value,
        bytes calldata data
    ) external {
        if (msg.sender != ENTRY_POINT) revert NotAuthorised(msg.sender);
        _callBySession(policy, rule, proof, value, data);
    }

    /// @notice Ends a session for calls at the wish of its own key, sent directly or as a user operation.
    /// @param policy The session's policy.
    function renounceCallSession(CallPolicy calldata policy) external {
        if (msg.sender != ENTRY_POINT && msg.sender != policy.key) revert NotAuthorised(msg.sender);
        _revokeSession(CallPolicies.id(policy));
    }

    /// @notice Stops sessions for a week; for the guardian. Only the owner ends that sooner.
    /// @param sessionIds Hashes of their packed policies.
    function holdSessions(bytes32[] calldata sessionIds) external {
        if (!_isGuardian(msg.sender)) revert NotAuthorised(msg.sender);
        for (uint256 i = 0; i < sessionIds.length; ++i) {
            _hold(sessionIds[i]);
        }
    }

    /// @notice Validates an operation signed by the key of a session for calls, for the EntryPoint by way of
    /// `validateUserOp`. Rules are judged when the call is made.
    /// @param callData The operation's calldata.
    /// @param userOpHash The operation's hash.
    /// @param signature Without its first byte.
    function validateCallSession(bytes calldata callData, bytes32 userOpHash, bytes calldata signature)
        external
        returns (uint256 validationData)
    {
        if (msg.sender != ENTRY_POINT) revert NotAuthorised(msg.sender);
        (bytes calldata ofKey, bytes calldata leave) = SessionSignatures.split(signature);
        bytes4 selector = bytes4(callData);
        if (
            callData.length < 196
                || (selector != this.callBySession.selector && selector != this.renounceCallSession.selector)
        ) revert NotASessionCall(selector);
        CallPolicy calldata policy;
        assembly ("memory-safe") {
            policy := add(callData.offset, 4)
        }
        bool genuine = Signers.isSigner(policy.key, userOpHash, ofKey, PASSKEYS);
        if (selector == this.renounceCallSession.selector) return genuine ? 0 : 1;
        genuine = _admitCallSession(policy, CallPolicies.id(policy), leave) != 0 && genuine;
        return _validationData(policy.startsAt, policy.endsAt, genuine);
    }

    /// @notice First second at which an announced change may be made, Unix time, or zero if none was announced.
    /// @param callHash Hash of the call.
    function changeReadyAt(bytes32 callHash) external view returns (uint256) {
        return uint96(_accountStorage().notices[callHash]);
    }

    /// @notice Digest that the customer's key signs for a call; good once.
    /// @param call The whole call with its arguments.
    function customerCallDigest(bytes calldata call) public view returns (bytes32) {
        uint256 nonce = _accountStorage().customerNonce;
        return _typedDataHash(keccak256(abi.encode(CUSTOMER_CALL_TYPEHASH, keccak256(call), nonce)));
    }

    function _entryPoint() internal view override returns (address) {
        return ENTRY_POINT;
    }

    function _isCallAllowed(address target, bytes4 selector) internal view override returns (bool) {
        return !_isCustodial() || _accountStorage().callKinds[keccak256(abi.encode(target, selector))];
    }

    function _announce(bytes memory call, address by) private {
        bytes32 callHash = keccak256(call);
        uint256 readyAt = block.timestamp + CUSTODIAN_DELAY;
        _accountStorage().notices[callHash] = (uint256(uint160(by)) << 96) | readyAt;
        emit ChangeScheduled(callHash, call, readyAt);
    }

    /// @dev A notice counts while who gave it still is who must, and while no exit of the customer's is announced.
    function _useNotice(bytes32 callHash, address by) private {
        AccountStorage storage stored = _accountStorage();
        if (stored.exit.isCustomers) revert ExitIsPending();
        uint256 notice = stored.notices[callHash];
        uint256 readyAt = uint96(notice);
        if (
            address(uint160(notice >> 96)) != by || block.timestamp < readyAt
                || block.timestamp >= readyAt + CHANGE_WINDOW
        ) revert ChangeNotReady(callHash, readyAt);
        delete stored.notices[callHash];
    }

    function _cancelChange(bytes32 callHash) private {
        delete _accountStorage().notices[callHash];
        emit ChangeCancelled(callHash);
    }

    function _setCallKind(address target, bytes4 selector, bool isAllowed) private {
        _accountStorage().callKinds[keccak256(abi.encode(target, selector))] = isAllowed;
        emit CallKindChanged(target, selector, isAllowed);
    }
}
