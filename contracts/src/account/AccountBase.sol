// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AccountProxies} from "./AccountProxies.sol";
import {Passkeys} from "./Passkeys.sol";
import {Sessions} from "./Sessions.sol";

/// @title What all code of an account shares
/// @notice The account's storage, its owner, and its signing domain.
abstract contract AccountBase is Sessions {
    /// @notice An announced exit.
    /// @param newOwner Owner afterwards; zero while none is announced.
    /// @param readyAt First second at which it may be carried out, Unix time.
    /// @param keepsGuardian Whether the guardian stays.
    /// @param isCustomers Whether the customer's key announced it: then nobody else can stop it.
    struct Exit {
        address newOwner;
        uint40 readyAt;
        bool keepsGuardian;
        bool isCustomers;
    }

    /// @custom:storage-location erc7201:openvpp.storage.Account
    /// @param owner Owner since the last change, or zero while it is the one in the proxy's code.
    /// @param customerNonce How many calls the customer's key has signed.
    /// @param customer May call off what is announced, and exit; zero until enrolled.
    /// @param guardian May stop and end sessions and start a recovery; zero for none.
    /// @param notices Hash of an announced call to who announced it (160 bits) and, in the low 96 bits, the first second
    /// at which it may be made, Unix time.
    /// @param exit Announced exit.
    /// @param callKinds Hash of target and selector to whether sessions of a custodial account may make such calls.
    /// @param guardianSince When the guardian was appointed, Unix time.
    struct AccountStorage {
        address owner;
        uint96 customerNonce;
        address customer;
        address guardian;
        mapping(bytes32 callHash => uint256 notice) notices;
        Exit exit;
        mapping(bytes32 kind => bool isAllowed) callKinds;
        uint256 guardianSince;
    }

    /// @dev keccak256(abi.encode(uint256(keccak256("openvpp.storage.Account")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant ACCOUNT_STORAGE = 0x677288ac3ece3bc8bcb8f445573953fb306cbccb0fd87a72ef8fdabd6a605e00;

    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant NAME_HASH = keccak256("OpenVPP Account");
    bytes32 private constant VERSION_HASH = keccak256("1");

    address internal immutable ENTRY_POINT;
    address internal immutable SELF = address(this);
    Passkeys internal immutable PASSKEYS;

    /// @dev The self-custody implementation, or zero in itself.
    address internal immutable SELF_CUSTODY;

    /// @notice Caller may not do this.
    /// @param caller Who called.
    error NotAuthorised(address caller);

    /// @notice A session key may only pay bills and end itself.
    /// @param selector What it asked for.
    error NotASessionCall(bytes4 selector);

    /// @param entryPoint_ EntryPoint v0.8 whose operations are accepted.
    /// @param selfCustody_ Implementation that an exit moves the account to; zero in the self-custody one itself.
    /// @param passkeys_ Who knows the signatures of P-256 keys.
    constructor(address entryPoint_, address selfCustody_, Passkeys passkeys_) Sessions(selfCustody_ == address(0)) {
        ENTRY_POINT = entryPoint_;
        SELF_CUSTODY = selfCustody_;
        PASSKEYS = passkeys_;
    }

    modifier onlyOwner() {
        if (!_isOwnerCall(msg.sender)) revert NotAuthorised(msg.sender);
        _;
    }

    /// @notice EntryPoint whose operations are accepted.
    function entryPoint() external view returns (address) {
        return ENTRY_POINT;
    }

    /// @notice Who knows the signatures of P-256 keys.
    function passkeys() external view returns (Passkeys) {
        return PASSKEYS;
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

    /// @dev What the EntryPoint reads: valid after, valid until, signature wrong. Life `[startsAt, endsAt)` in its terms.
    function _validationData(uint256 startsAt, uint256 endsAt, bool genuine) internal pure returns (uint256) {
        unchecked {
            // An installed session ends after it starts, so not at zero.
            return ((startsAt == 0 ? 0 : startsAt - 1) << 208) | ((endsAt - 1) << 160) | (genuine ? 0 : 1);
        }
    }

    function _passkeys() internal view override returns (Passkeys) {
        return PASSKEYS;
    }

    function _sessionOwner() internal view override returns (address) {
        return owner();
    }

    function _typedDataHash(bytes32 structHash) internal view override returns (bytes32 digest) {
        // The domain of a proxy is never one that could be kept ready, so it is made here with little ado.
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

    /// @dev The EntryPoint, the account itself and the owner speak for the owner.
    function _isOwnerCall(address caller) internal view returns (bool) {
        return caller == ENTRY_POINT || caller == address(this) || (caller == owner() && caller != address(0));
    }

    function _isGuardian(address caller) internal view returns (bool) {
        return caller == _accountStorage().guardian && caller != address(0);
    }

    function _accountStorage() internal pure returns (AccountStorage storage stored) {
        assembly ("memory-safe") {
            stored.slot := ACCOUNT_STORAGE
        }
    }
}
